// guestfish, which knows nothing of us, reads every kind of image that we make: all of them are shown to one machine.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type LibvirtHost,
  makeChain,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inProcess, type Where } from '../test/command.ts';

const LIBGUESTFS = ['LIBGUESTFS_BACKEND=direct', 'LIBGUESTFS_BACKEND_SETTINGS=force_tcg'];
const TIMEOUT_MS = 300_000;

let host: LibvirtHost;
let where: Where;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  where = { uri: host.uri, stateDirectory: join(host.directory, 'state') };
});
afterAll(() => host?.stop());

const blockferry = async (...argv: string[]) => {
  const said = await inProcess(where, ...argv);
  expect(said.code, `${argv.join(' ')}: ${said.out}${said.err}`).toBe(0);
};

const move = (to: string, ...options: string[]) => blockferry('move', 'vm', 'vda', at(to), ...options);

const snapshot = (to: string) => {
  const beside = ['--disk-only', '--no-metadata', '--diskspec', `vda,file=${at(to)}`];
  return host.virsh('snapshot-create-as', 'vm', ...beside);
};

/** In the order in which they are made, each of the one before. */
const KINDS: readonly (readonly [kind: string, image: string, format: 'qcow2' | 'raw'])[] = [
  ['a shallow mirror', 'shallow', 'qcow2'],
  ['a chain in layers', 'chain/shallow', 'qcow2'],
  ['one image, by a mirror', 'mirrored', 'qcow2'],
  ['one image, in layers', 'layered', 'qcow2'],
  ['raw', 'raw', 'raw'],
  ['qcow2 made from raw', 'back', 'qcow2'],
  ['a base that was committed into', 'back2', 'qcow2'],
  ['an overlay that was flattened', 'over3', 'qcow2'],
];

async function makeThem(): Promise<void> {
  const files = {
    base: { '/foo': 'of the base' },
    snap1: { '/bar': 'of snap1' },
    snap2: { '/baz': 'of snap2' },
  };
  const { top } = await makeChain(host.imagesDir, ['base', 'snap1', 'snap2'], { files });
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', ...top }] });
  await move('shallow', '--shallow', '--strategy', 'mirror');
  await mkdir(at('chain'));
  await move('chain/', '--strategy', 'layered');
  await move('mirrored', '--flatten', '--strategy', 'mirror');
  await snapshot('over1');
  await move('layered', '--flatten', '--strategy', 'layered');
  await move('raw', '--flatten', '--strategy', 'mirror', '--format', 'raw');
  await move('back', '--strategy', 'mirror', '--format', 'qcow2');
  await move('back2', '--strategy', 'mirror');
  await snapshot('over2');
  await blockferry('commit', 'vm', 'vda');
  await snapshot('over3');
  await blockferry('flatten', 'vm', 'vda');
  await removeIdle(host, 'vm');
}

it(
  'mirrors and layers, shallow, whole and as one image, raw and from raw, committed and flattened',
  async () => {
    await makeThem();
    const drives = KINDS.flatMap(([, image, format]) => [`--format=${format}`, '-a', at(image)]);
    const looks = KINDS.flatMap(([kind], drive) => {
      const partition = `/dev/sd${String.fromCharCode(97 + drive)}1`;
      const commands = [
        ['echo', `== ${kind}`],
        ['mount-ro', partition, '/'],
        ['ls', '/'],
        ['umount', '/'],
      ];
      return commands.flatMap((command) => [':', ...command]);
    });
    const argv = ['env', ...LIBGUESTFS, 'guestfish', '--ro', ...drives, 'run', ...looks];
    const { stdout } = await run(argv, { timeoutMs: TIMEOUT_MS });
    const listed = stdout
      .split('== ')
      .slice(1)
      .map((part) => part.trim().split('\n'));
    const whole = ['bar', 'baz', 'foo', 'lost+found'];
    expect(listed).toEqual(KINDS.map(([kind]) => [kind, ...whole]));
  },
  TIMEOUT_MS,
);
