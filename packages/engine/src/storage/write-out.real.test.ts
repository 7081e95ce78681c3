// What stands in the page cache of an image is on its storage before a guest is made to wait for it.
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { localHost } from '@blockferry/qemu';
import { type LibvirtHost, smallFileSystem, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeOut } from './write-out.ts';

const MIB = 1024 * 1024;
let host: LibvirtHost;

beforeAll(async () => {
  host = await startLibvirtHost();
});

afterAll(() => host.stop());

/** Bytes that were written to the loop device below a file (Documentation/admin-guide/iostats.rst: sectors of 512). */
async function writtenBelow(path: string): Promise<number> {
  const { dev } = await stat(path);
  const device = `${dev >> 8}:${dev & 0xff}`;
  const [, , , , , , sectors] = (await readFile(`/sys/dev/block/${device}/stat`, 'utf8')).trim().split(/ +/);
  return Number(sectors) * 512;
}

test('what was written and not flushed is written out; what is no file of the host is passed over', async () => {
  await using small = await smallFileSystem(host, { bytes: 128n << 20n });
  const path = join(small.directory, 'image');
  const image = await open(path, 'w');
  await image.write(Buffer.alloc(48 * MIB, 1));
  const before = await writtenBelow(path);
  await writeOut(localHost(), [
    { kind: 'file', path },
    { kind: 'network', protocol: 'nbd', hosts: [{ name: '127.0.0.1' }] },
  ]);
  expect((await writtenBelow(path)) - before).toBeGreaterThan(40 * MIB);
  await image.close();
});

test('an image that is gone is no reason to fail', async () => {
  await writeOut(localHost(), [{ kind: 'file', path: join(host.imagesDir, 'none') }]);
});
