// Cleanup removes what is provably an unfinished copy of ours, and keeps everything else.
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { localHost } from '@blockferry/qemu';
import { type LibvirtHost, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MoveRecord } from '../model/record.ts';
import { type Journal, journalPathFor, writeJournal } from '../record/journal.ts';
import { OpenMoves } from '../record/open-moves.ts';
import type { Context } from '../run/context.ts';
import { Link } from '../run/link.ts';
import { findLeftovers, removeLeftover } from './leftovers.ts';

const here = localHost();
let libvirt: LibvirtHost;
let context: Context;
let count = 0;

beforeAll(async () => {
  libvirt = await startLibvirtHost();
  const openMoves = new OpenMoves(here, join(libvirt.directory, 'state'));
  context = { link: new Link(libvirt.uri), host: here, openMoves };
});

afterAll(async () => {
  await context?.link.close();
  await here.close();
  await libvirt?.stop();
});

function recordOf(destination: string, changes: Partial<MoveRecord> = {}): MoveRecord {
  const origin = { source: { kind: 'file', path: '/old/web.qcow2' }, format: 'qcow2' } as const;
  return {
    version: 1,
    id: 'c0ffee01',
    domain: { name: 'gone', uuid: '11111111-2222-3333-4444-555555555555' },
    disk: 'vda',
    strategy: 'mirror',
    scope: 'shallow',
    origin,
    destination: { source: { kind: 'file', path: destination }, format: 'qcow2' },
    ownership: { kind: 'created' },
    sources: [origin],
    jobMode: 'transient-job',
    options: { synchronousWrites: false, converge: false, deleteSource: false },
    destinationXml: '<disk/>',
    phase: 'copying',
    goal: 'pivot',
    ...changes,
  };
}

/** A directory with a copy in it, and the journal that claims it. */
async function aLeftover(change: (journal: Journal) => Journal = (journal) => journal): Promise<string> {
  count += 1;
  const directory = join(libvirt.imagesDir, `left-${count}`);
  await mkdir(directory);
  const copy = join(directory, 'copy.qcow2');
  await writeFile(copy, 'half of it');
  const stat = await here.stat(copy);
  const claimed = { device: stat?.device ?? 0n, inode: stat?.inode ?? 0n };
  const journal = change({ record: recordOf(copy), claimed });
  await writeJournal({ host: here, path: journalPathFor(copy) }, journal);
  return directory;
}

/** Finds, removes, and says what was found and what is left. */
async function clean(target: string, directory = target) {
  const found = await findLeftovers(context, target);
  for (const leftover of found) await removeLeftover(context, leftover);
  const left = (await readdir(directory)).sort();
  return { verdicts: found.map(({ verdict }) => verdict.kind), left };
}

describe('cleanup', () => {
  it('removes an unfinished copy and its journal, by directory, by copy, or by journal', async () => {
    for (const name of ['', 'copy.qcow2', '.copy.qcow2.blockferry']) {
      const directory = await aLeftover();
      expect(await clean(join(directory, name), directory)).toEqual({ verdicts: ['remove-copy'], left: [] });
    }
  });

  it('finds nothing where there is nothing', async () => {
    await mkdir(join(libvirt.imagesDir, 'empty'));
    expect(await clean(join(libvirt.imagesDir, 'empty'))).toEqual({ verdicts: [], left: [] });
    expect(await findLeftovers(context, join(libvirt.imagesDir, 'nothing.qcow2'))).toEqual([]);
  });

  it('keeps a file that took the place of ours', async () => {
    const directory = await aLeftover();
    await writeFile(join(directory, 'new'), "somebody else's");
    await rename(join(directory, 'new'), join(directory, 'copy.qcow2'));
    expect(await clean(directory)).toEqual({ verdicts: ['remove-journal'], left: ['copy.qcow2'] });
  });

  it('keeps a file that the journal does not claim', async () => {
    const directory = await aLeftover(({ record }) => ({ record }));
    expect(await clean(directory)).toEqual({ verdicts: ['remove-journal'], left: ['copy.qcow2'] });
  });

  it('keeps a destination that was there before the move', async () => {
    const directory = await aLeftover(({ record, ...rest }) => {
      return { ...rest, record: { ...record, ownership: { kind: 'reused' } } };
    });
    expect(await clean(directory)).toEqual({ verdicts: ['remove-journal'], left: ['copy.qcow2'] });
  });

  it.each(['pivoting', 'settling'] as const)(
    'keeps all of a move that was %s: the guest may have been on it',
    async (phase) => {
      const directory = await aLeftover(({ record, ...rest }) => ({ ...rest, record: { ...record, phase } }));
      const all = ['.copy.qcow2.blockferry', 'copy.qcow2'];
      expect(await clean(directory)).toEqual({ verdicts: ['keep'], left: all });
    },
  );

  it('keeps a copy that was asked for', async () => {
    const directory = await aLeftover(({ record, ...rest }) => {
      return { ...rest, record: { ...record, phase: 'canceled', goal: 'keep' } };
    });
    expect((await clean(directory)).verdicts).toEqual(['keep']);
  });

  it('keeps a journal that holds the only definition of a domain', async () => {
    const directory = await aLeftover((journal) => {
      return { ...journal, definition: { xml: '<domain/>', autostart: false } };
    });
    expect((await clean(directory)).verdicts).toEqual(['keep']);
  });

  it('believes a journal only about the file that it stands beside', async () => {
    const directory = await aLeftover();
    const victim = join(libvirt.imagesDir, 'victim.qcow2');
    await rename(join(directory, 'copy.qcow2'), victim);
    const stat = await here.stat(victim);
    const forged = {
      record: recordOf(victim),
      claimed: { device: stat?.device ?? 0n, inode: stat?.inode ?? 0n },
    };
    await writeJournal({ host: here, path: join(directory, '.copy.qcow2.blockferry') }, forged);
    expect((await clean(directory)).verdicts).toEqual(['keep']);
    expect(await here.stat(victim)).not.toBeNull();
  });

  it('does not believe a journal that another user wrote', async () => {
    const directory = await aLeftover();
    await here.chown(join(directory, '.copy.qcow2.blockferry'), 65_534, 65_534);
    expect((await clean(directory)).verdicts).toEqual(['keep']);
  });

  it('keeps what it cannot read', async () => {
    const directory = await aLeftover();
    await writeFile(join(directory, '.copy.qcow2.blockferry'), '{"from":"the future"}');
    const all = ['.copy.qcow2.blockferry', 'copy.qcow2'];
    expect(await clean(directory)).toEqual({ verdicts: ['keep'], left: all });
  });

  it('keeps a copy that a definition uses by now', async () => {
    const directory = await aLeftover();
    const source = `<driver name='qemu' type='qcow2'/><source file='${join(directory, 'copy.qcow2')}'/>`;
    const disk = `<disk type='file' device='disk'>${source}<target dev='vda' bus='virtio'/></disk>`;
    const os = "<os><type arch='x86_64' machine='pc'>hvm</type></os>";
    const xml = `<domain type='qemu'><name>heir</name><memory>32768</memory>${os}<devices>${disk}</devices></domain>`;
    await writeFile(join(libvirt.imagesDir, 'heir.xml'), xml);
    await libvirt.virsh('define', join(libvirt.imagesDir, 'heir.xml'));
    expect((await clean(directory)).verdicts).toEqual(['keep']);
  });
});
