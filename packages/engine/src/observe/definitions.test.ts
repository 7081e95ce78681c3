// When a mirror counts as ready: 100 % is not enough, and 100 % is not needed.
import { DomainXml } from '@blockferry/libvirt';
import { expect, test } from 'vitest';
import type { MoveRecord } from '../model/record.ts';
import { jobOf } from './definitions.ts';

const move: MoveRecord = {
  version: 1,
  id: 'm',
  domain: { name: 'vm', uuid: 'u' },
  disk: 'vda',
  strategy: 'mirror',
  scope: 'shallow',
  origin: { source: { kind: 'file', path: '/a' }, format: 'qcow2' },
  destination: { source: { kind: 'file', path: '/b' }, format: 'qcow2' },
  ownership: { kind: 'created' },
  sources: [],
  jobMode: 'transient-job',
  options: { synchronousWrites: false, converge: false, deleteSource: false },
  destinationXml: '<disk/>',
  phase: 'copying',
  goal: 'pivot',
};

function live(mirror: string): DomainXml {
  return DomainXml.parse(
    `<domain><name>vm</name><devices><disk type='file'><source file='/a'/>${mirror}<target dev='vda'/></disk></devices></domain>`,
  );
}

const mirror = (ready: string, path = '/b', job = 'copy') =>
  live(`<mirror type='file' job='${job}' ${ready}><format type='qcow2'/><source file='${path}'/></mirror>`);
const info = (cur: bigint, end: bigint) => ({ type: 'copy', cur, end });
const MiB = 1024n * 1024n;

test('cur equal to end is not ready until the live definition says so', () => {
  expect(jobOf(mirror(''), info(9n, 9n), move)).toMatchObject({ kind: 'ours', state: 'running' });
  expect(jobOf(mirror(''), info(0n, 0n), move)).toMatchObject({ state: 'running' });
  expect(jobOf(mirror("ready='yes'"), info(9n, 9n), move)).toMatchObject({ state: 'ready' });
});

test('the word of the live definition is not enough while much remains to be copied', () => {
  expect(jobOf(mirror("ready='yes'"), info(0n, 100n * MiB), move)).toMatchObject({ state: 'running' });
  expect(jobOf(mirror("ready='yes'"), info(99n * MiB, 100n * MiB), move)).toMatchObject({ state: 'ready' });
});

test('a mirror of which libvirt knows no job is missing, whatever the live definition says of it', () => {
  for (const ready of ['', "ready='yes'", "ready='pivot'", "ready='abort'"]) {
    expect(jobOf(mirror(ready), null, move)).toMatchObject({ kind: 'ours', state: 'missing' });
  }
});

test('a copy without a mirror is one that a libvirtd began and forgot', () => {
  expect(jobOf(live(''), info(1n, 9n), move)).toMatchObject({ kind: 'ours', state: 'unshown' });
});

test('a job that is ending is neither', () => {
  expect(jobOf(mirror("ready='pivot'"), info(9n, 9n), move)).toMatchObject({ state: 'pivoting' });
  expect(jobOf(mirror("ready='abort'"), info(9n, 9n), move)).toMatchObject({ state: 'aborting' });
});

test('a copy to another place, and another job, are not ours', () => {
  expect(jobOf(mirror("ready='yes'", '/c'), info(9n, 9n), move)).toEqual({ kind: 'foreign', what: 'copy' });
  const commit = mirror("ready='yes'", '/b', 'active-commit');
  expect(jobOf(commit, info(9n, 9n), move)).toEqual({ kind: 'foreign', what: 'active-commit' });
  expect(jobOf(live(''), { type: 'pull', cur: 0n, end: 1n }, move)).toEqual({
    kind: 'foreign',
    what: 'pull',
  });
  expect(jobOf(live(''), null, move)).toEqual({ kind: 'none' });
});
