import { DomainXml } from '@blockferry/libvirt';
import { expect, test } from 'vitest';
import { mustAgree } from './both-definitions.ts';

const disk = (target: string, path: string, device = 'disk') =>
  `<disk type='file' device='${device}'><source file='${path}'/><target dev='${target}'/></disk>`;
const of = (...disks: string[]) =>
  DomainXml.parse(`<domain type='kvm'><name>web</name><devices>${disks.join('')}</devices></domain>`);
const refusal = (live: DomainXml, config: DomainXml) => () => mustAgree({ live, config }, 'web');

test('a disk that only one definition has, or that is another image in the other, is refused', () => {
  const [one, both] = [of(disk('vda', '/a')), of(disk('vda', '/a'), disk('vdb', '/b'))];
  expect(refusal(one, both)).toThrow('vdb only in the definition of its next start');
  expect(refusal(both, one)).toThrow('vdb only while it runs, not in the definition of its next start');
  expect(refusal(one, of(disk('vda', '/c')))).toThrow('vda of web is another image');
});

test('a medium that was changed, and a domain that is off, are not', () => {
  const [one, other] = ['/1.iso', '/2.iso'].map((path) => of(disk('vda', '/a'), disk('sda', path, 'cdrom')));
  expect(refusal(one ?? of(), other ?? of())).not.toThrow();
  expect(() => mustAgree({ live: undefined, config: of(disk('vda', '/a')) }, 'web')).not.toThrow();
});
