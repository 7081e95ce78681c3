import { describe, expect, it } from 'vitest';
import { DomainXml } from './domain-xml.ts';

const xml = `<domain type='qemu'>
  <name>web</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <genid>aaaaaaaa-2222-3333-4444-555555555555</genid>
  <metadata>
    <a:move xmlns:a="urn:one:move">x</a:move>
    <b:other xmlns:b="urn:two">y</b:other>
  </metadata>
  <os>
    <type>hvm</type>
    <nvram template='/t.fd'>/nv/web_VARS.fd</nvram>
  </os>
  <devices>
    <disk type='file' device='disk'><source file='/a'/><target dev='vda'/></disk>
    <disk type='file' device='disk'><source file='/b'/><target dev='vdb'/></disk>
    <interface type='network'>
      <mac address='52:54:00:00:00:01'/>
      <source network='default'/>
    </interface>
    <memory model='nvdimm'><source><path>/nvdimm</path></source></memory>
  </devices>
</domain>
`;

describe('a definition', () => {
  it('becomes that of another domain: nothing that only one may have is left', () => {
    const definition = DomainXml.parse(xml);
    definition.becomeAnother('a<b', '6b2f0000-0000-4000-8000-000000000001');
    expect(definition.name).toBe('a<b');
    expect(definition.uuid).toBe('6b2f0000-0000-4000-8000-000000000001');
    expect(definition.toString().match(/<uuid>/g)).toHaveLength(1);
    expect(definition.toString()).not.toMatch(/52:54|genid|nvdimm/);
    expect(definition.toString()).toContain("<source network='default'/>");
  });

  it.each([
    ["<graphics type='vnc' port='5901' autoport='no'/>", "<graphics type='vnc' port='-1' autoport='yes'/>"],
    [
      "<graphics type='vnc' port='-1' autoport='yes' websocket='5700'/>",
      "<graphics type='vnc' port='-1' autoport='yes' websocket='-1'/>",
    ],
    [
      "<graphics type='spice' port='5901' tlsPort='5902' autoport='no'/>",
      "<graphics type='spice' port='-1' tlsPort='-1' autoport='yes'/>",
    ],
    [
      "<graphics type='vnc' socket='/s'>\n<listen type='socket' socket='/s'/></graphics>",
      "<graphics type='vnc'>\n<listen type='socket'/></graphics>",
    ],
    [
      "<channel type='unix'><source mode='bind' path='/s'/><target type='virtio' name='a'/></channel>",
      "<channel type='unix'><source mode='bind'/><target type='virtio' name='a'/></channel>",
    ],
    [
      "<channel type='unix'><source mode='connect' path='/s'/><target type='virtio' name='a'/></channel>",
      undefined,
    ],
    [
      "<interface type='network'><source network='a'/><target dev='web0'/></interface>",
      "<interface type='network'><source network='a'/></interface>",
    ],
    ["<interface type='ethernet'><target dev='tap0' managed='no'/></interface>", undefined],
    [
      "<vsock model='virtio'><cid auto='no' address='5'/></vsock>",
      "<vsock model='virtio'><cid auto='yes'/></vsock>",
    ],
    ["<vsock model='virtio'><cid address='5'/></vsock>", "<vsock model='virtio'><cid auto='yes'/></vsock>"],
  ])('lets libvirt choose what another domain has: %s', (device, chosen = device) => {
    const text = (devices: string) => `<domain><name>a</name><devices>${devices}</devices></domain>`;
    const definition = DomainXml.parse(text(device));
    definition.becomeAnother('a', 'b');
    expect(definition.toString()).toBe(text(chosen).replace('</name>', '</name><uuid>b</uuid>'));
  });

  it('loses the metadata of those namespaces and no other', () => {
    const definition = DomainXml.parse(xml);
    definition.removeMetadata((namespace) => namespace.startsWith('urn:one:'));
    expect(definition.metadataElement('urn:one:move')).toBeUndefined();
    expect(definition.metadataElement('urn:two')).toContain('y');
  });

  it('loses one disk', () => {
    const definition = DomainXml.parse(xml);
    definition.removeDisk('vdb');
    expect(definition.disks().map(({ target }) => target)).toEqual(['vda']);
  });

  it.each([
    ['as text', "<nvram template='/t.fd'>/nv/web_VARS.fd</nvram>"],
    ['as a source', "<nvram type='file'><source file='/nv/web_VARS.fd'/></nvram>"],
    ['as nothing yet', "<nvram template='/t.fd'/>"],
  ])('has its NVRAM elsewhere, named %s', (_, nvram) => {
    const definition = DomainXml.parse(xml.replace("<nvram template='/t.fd'>/nv/web_VARS.fd</nvram>", nvram));
    definition.setNvram('/new/a&b.fd');
    expect(definition.osNvram).toBe('/new/a&b.fd');
    expect(definition.toString().replace(/<nvram.*<\/nvram>/, '')).toBe(xml.replace(/<nvram.*<\/nvram>/, ''));
  });
});
