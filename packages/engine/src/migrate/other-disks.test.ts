import { DomainXml } from '@blockferry/libvirt';
import { expect, test } from 'vitest';
import { mustHaveNoOther } from './other-disks.ts';
import type { MigratedDisk } from './record.ts';

const disk = (target: string, device = 'disk') =>
  `<disk type='file' device='${device}'><source file='/${target}'/><target dev='${target}'/></disk>`;
const of = (...disks: string[]) =>
  DomainXml.parse(`<domain type='kvm'><name>web</name><devices>${disks.join('')}</devices></domain>`);

test('a disk that was attached while the others were copied does not cross; a medium is none', () => {
  const disks = [{ target: 'vda' } as MigratedDisk] as const;
  const record = { disks, domain: { name: 'web', uuid: 'u' } };
  expect(() => mustHaveNoOther(of(disk('vda'), disk('sda', 'cdrom')), record)).not.toThrow();
  expect(() => mustHaveNoOther(of(disk('vda'), disk('vdb')), record)).toThrow('vdb was attached');
});
