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
