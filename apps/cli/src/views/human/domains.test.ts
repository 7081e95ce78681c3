// The list of domains.
import type { MigrationRecord } from '@blockferry/engine';
import { describe, expect, it } from 'vitest';
import { sampleMove } from '../../testing/move.ts';
import { domainsText } from './domains.ts';

const move = sampleMove();

describe('the list of domains', () => {
  it('shows every disk, and whose move or job is on it', () => {
    const disk = { target: 'vda', device: 'disk', source: '/a', format: 'qcow2' } as const;
    const text = domainsText([
      {
        name: 'web',
        uuid: 'u',
        state: 'running',
        persistent: false,
        migration: undefined,
        disks: [
          { ...disk, mirror: undefined, move },
          { ...disk, target: 'vdb', mirror: { job: 'copy', destination: '/theirs' }, move: undefined },
          { ...disk, target: 'sda', device: 'cdrom', source: undefined, mirror: undefined, move: undefined },
        ],
      },
      { name: 'db', uuid: 'v', state: 'shutoff', persistent: true, disks: [], migration: undefined },
    ]);
    expect(text).toMatch(/web +running \(transient\) +vda +qcow2 +\/a +copying to \/new\/web\.qcow2/);
    expect(text).toContain('copy job to /theirs, not ours');
    expect(text).toContain('(no medium in the cdrom)');
    expect(text).toMatch(/db +off +- +no disks/);
  });

  it('shows a migration on the disks that it copies, and not the commits that are a part of it', () => {
    const disk = { target: 'vda', device: 'disk', source: '/a', format: 'qcow2', mirror: undefined } as const;
    const migration = { id: 'abcd', phase: 'copying', goal: 'away', disks: [{ target: 'vda' }] };
    const textOf = (change: Partial<MigrationRecord>) =>
      domainsText([
        {
          ...{ name: 'web', uuid: 'u', state: 'running', persistent: true },
          migration: { ...migration, ...change } as unknown as MigrationRecord,
          disks: [
            { ...disk, move: sampleMove({ id: 'abcd-vda' }) },
            { ...disk, target: 'sda', move: undefined },
          ],
        },
      ]);
    expect(textOf({})).toMatch(/vda +qcow2 +\/a +migration, copying\n +sda +qcow2 +\/a\n/);
    expect(textOf({ goal: 'home' })).toContain('migration, going back');
    expect(textOf({ goal: 'home', phase: 'collapsing' })).toContain('migration, collapsing');
  });

  it('says so when there is none', () => {
    expect(domainsText([])).toBe('there are no domains\n');
  });
});
