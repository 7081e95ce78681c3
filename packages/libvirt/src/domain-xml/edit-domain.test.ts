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
