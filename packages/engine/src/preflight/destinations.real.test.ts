// Files as destinations, under every kind of name and path, each reached by a real move while the guest writes.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileAt, type MovingGuest, startLibvirtHost, startMovingGuest } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';

let vm: MovingGuest;
let images: string;

beforeAll(async () => {
  const host = await startLibvirtHost();
  images = host.imagesDir;
  vm = await startMovingGuest(host);
});

afterAll(async () => {
  await vm.mover.close();
  await vm.host.stop();
});

const names = [
  `two  spaces ' quotes ".qcow2`,
  'a:colon,,file=x;format=raw?c#d %41%zz',
  '&amp; <b> ]]> ünïcode-日本-🚢',
  '-dash $(x) `y` \\ *',
];

test.each(names)('a file called %s', async (name) => {
  const path = join(images, name);
  await vm.move({ destination: path }, fileAt(path));
});

test('a relative path, and one that looks like a protocol', async () => {
  const before = process.cwd();
  process.chdir(images);
  try {
    await vm.move({ destination: 'relative.qcow2' }, fileAt(join(images, 'relative.qcow2')));
    await vm.move(
      { destination: './json:{"driver":"null-co"}' },
      fileAt(join(images, 'json:{"driver":"null-co"}')),
    );
  } finally {
    process.chdir(before);
  }
});

test('a directory, which keeps the file name', async () => {
  await mkdir(join(images, 'one'));
  await mkdir(join(images, 'two'));
  await vm.move({ destination: join(images, 'one', 'start.qcow2') }, fileAt(join(images, 'one/start.qcow2')));
  await vm.move({ destination: join(images, 'two') }, fileAt(join(images, 'two/start.qcow2')));
  await vm.move({ destination: `${images}/` }, fileAt(join(images, 'start.qcow2')));
});

test('the disk named by the path of its image', async () => {
  const path = join(images, 'by-path.qcow2');
  await vm.move({ disk: join(images, 'start.qcow2'), destination: path }, fileAt(path));
});

test('the chain made into one image, qcow2 and raw', async () => {
  const flat = join(images, 'flat.qcow2');
  await vm.move({ destination: flat, scope: 'flatten' }, fileAt(flat));
  const raw = join(images, 'flat.raw');
  await vm.move({ destination: raw, scope: 'flatten', format: 'raw' }, fileAt(raw, 'raw'));
  expect(await vm.host.virsh('domblkinfo', vm.name, 'vda')).toContain(`Capacity:       ${vm.chain.size}`);
});

test('the next boot is from where the disk ended', async () => {
  await vm.guest.stop();
  await vm.guest.start();
  await vm.proveWritesKept({ path: join(images, 'flat.raw'), format: 'raw' });
});
