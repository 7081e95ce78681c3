import { DomainXml } from '@blockferry/libvirt';
import { expect, test } from 'vitest';
import { needsOf } from './devices.ts';

const withDevices = (devices: string) =>
  DomainXml.parse(`<domain type='kvm'><name>web</name><devices>${devices}</devices></domain>`);

test('of a virtual network its name is needed, and not the bridge that it has at home', () => {
  const definition = withDevices(`
    <interface type='network'><source network='default' portid='5790' bridge='virbr0'/></interface>
    <interface type='bridge'><source bridge='br0'/></interface>
    <interface type='direct'><source dev='eth1' mode='bridge'/></interface>`);
  expect(needsOf(definition)).toMatchObject({ networks: ['default'], links: ['br0', 'eth1'] });
});

test('what serial ports, channels and displays have on the host, and no end that libvirt makes by itself', () => {
  const definition = withDevices(`
    <serial type='file'><source path='/logs/a&amp;b.log' append='on'/><log file='/logs/all' append='off'/></serial>
    <serial type='pty'><source path='/dev/pts/3'/></serial>
    <serial type='tcp'><source mode='bind' host='10.0.0.5' service='4555'/></serial>
    <serial type='tcp'><source mode='connect' host='10.0.0.6' service='4555'/></serial>
    <parallel type='dev'><source path='/dev/parport0'/></parallel>
    <console type='unix'><source mode='connect' path='/run/there.sock'/></console>
    <console type='unix'><source mode='connect' path='/run/later.sock'><reconnect enabled='yes' timeout='5'/></source></console>
    <channel type='unix'><source mode='bind' path='/run/app/own.sock'/><target type='virtio' name='app'/></channel>
    <channel type='unix'><source mode='bind' path='/run/libvirt/qemu/channel/1-web/org.qemu.guest_agent.0'/></channel>
    <interface type='vhostuser'><source type='unix' path='/run/ovs/one' mode='client'/></interface>
    <interface type='vhostuser'><source type='unix' path='/run/ovs/two' mode='server'/></interface>
    <input type='mouse' bus='ps2'/>
    <input type='evdev'><source dev='/dev/input/event1'/></input>
    <rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>
    <graphics type='vnc' port='5900' listen='10.0.0.7'><listen type='address' address='10.0.0.7'/></graphics>
    <graphics type='spice'><listen type='network' address='192.168.122.1' network='default'/></graphics>
    <graphics type='vnc'><listen type='socket' socket='/run/app/vnc.sock'/></graphics>`);
  expect(needsOf(definition)).toMatchObject({
    nodes: ['/dev/parport0', '/run/there.sock', '/run/ovs/one', '/dev/input/event1', '/dev/hwrng'],
    made: ['/logs/a&b.log', '/logs/all', '/run/app/own.sock', '/run/ovs/two', '/run/app/vnc.sock'],
    addresses: ['10.0.0.5', '10.0.0.7'],
    ports: ['10.0.0.5:4555'],
  });
});

test.each([
  ['host-devices', "<interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:01'/></interface>"],
  ['unsupported-storage', "<memory model='nvdimm'><source><path>/images/pmem</path></source></memory>"],
])('%s: what cannot come along', (code, device) => {
  expect(() => needsOf(withDevices(device))).toThrow(expect.objectContaining({ code }));
});

test('what other programs keep in the metadata is no device', () => {
  const definition = DomainXml.parse(
    "<domain type='kvm'><name>web</name><metadata><hostdev xmlns='urn:a'/></metadata><devices/></domain>",
  );
  expect(needsOf(definition).files).toEqual([]);
});
