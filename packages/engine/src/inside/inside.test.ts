// What libguestfs says, and what is made of it.
import { HostError, localHost } from '@blockferry/qemu';
import { describe, expect, it } from 'vitest';
import { OpenMoves } from '../record/open-moves.ts';
import { Link } from '../run/link.ts';
import { nameOf, parseDetails, parseNames } from './entries.ts';
import { listInside } from './look-inside.ts';
import { chooseFileSystem, onlyRoot, parseFileSystems, parseMountpoints } from './mounts.ts';

describe('file systems', () => {
  const found = parseFileSystems(
    '/dev/sda1: ext4\n/dev/sda2: swap\n/dev/vg/root: unknown\nbtrfsvol:/dev/sda3/a: b: btrfs\n',
  );

  it('are read from lines', () => {
    expect(found).toEqual([
      { device: '/dev/sda1', type: 'ext4' },
      { device: '/dev/sda2', type: 'swap' },
      { device: '/dev/vg/root', type: 'unknown' },
      { device: 'btrfsvol:/dev/sda3/a: b', type: 'btrfs' },
    ]);
  });

  it('the only one that can be mounted is taken; of several one has to be named', () => {
    expect(chooseFileSystem(found.slice(0, 3), undefined)).toEqual({ device: '/dev/sda1', at: '/' });
    expect(() => chooseFileSystem(found, undefined)).toThrow(
      '/dev/sda1 (ext4), btrfsvol:/dev/sda3/a: b (btrfs)',
    );
    expect(() => chooseFileSystem(found.slice(1, 3), undefined)).toThrow('no file system');
  });

  it('one that is named has to be there', () => {
    expect(chooseFileSystem(found, '/dev/vg/root')).toEqual({ device: '/dev/vg/root', at: '/' });
    expect(() => chooseFileSystem(found, '/dev/sdb1')).toThrow(
      expect.objectContaining({ code: 'no-such-file-system' }),
    );
  });

  it('of an operating system are mounted from the root down', () => {
    expect(
      parseMountpoints('/boot/efi: /dev/sda1\n/: btrfsvol:/dev/sda2/root\n/odd: /dev/x: /dev/sda3\n'),
    ).toEqual([
      { at: '/', device: 'btrfsvol:/dev/sda2/root' },
      { at: '/boot/efi', device: '/dev/sda1' },
      { at: '/odd: /dev/x', device: '/dev/sda3' },
    ]);
    expect(onlyRoot([])).toBeUndefined();
    expect(onlyRoot(['/dev/sda1'])).toBe('/dev/sda1');
    expect(() => onlyRoot(['/dev/sda1', '/dev/sda2'])).toThrow(
      expect.objectContaining({ code: 'which-file-system' }),
    );
  });
});

describe('entries', () => {
  it('have names of any bytes', () => {
    const names = parseNames(Buffer.from('\xff\0a\nb\0ü\0', 'latin1'));
    expect(names.map(nameOf)).toEqual([
      { name: 'a\nb', rawName: undefined },
      { name: '\ufffd', rawName: '/A==' },
      { name: '\ufffd', rawName: '/w==' },
    ]);
    expect(parseNames(Buffer.alloc(0))).toEqual([]);
  });

  it('have details, unless they could not be read', () => {
    const text =
      'st_dev: 1\nst_mode: 33261\nst_uid: 5\nst_gid: 6\nst_size: 9007199254740993\nst_mtime_sec: -1\nst_mtime_nsec: 5000000\n';
    expect(parseDetails(text)).toEqual({
      ...{ type: 'file', mode: 0o755, uid: 5, gid: 6, size: 9007199254740993n, modifiedMs: -995 },
    });
    expect(parseDetails('st_mode: 17407\n')).toMatchObject({ type: 'directory', mode: 0o1777 });
    expect(parseDetails('')).toBeUndefined();
  });
});

it('a host without libguestfs is refused, with the package to install', async () => {
  const facts = { host: 'there', command: 'guestfish', detail: 'no such program', hint: '' };
  const host = Object.assign(localHost(), {
    run: () => Promise.reject(new HostError('not-found', facts)),
  });
  const context = { link: new Link('qemu:///system'), host, openMoves: new OpenMoves(host, '/nonexistent') };
  const looking = listInside(context, { name: '/x', path: '/' }, false, {
    signal: new AbortController().signal,
  });
  await expect(looking).rejects.toMatchObject({
    code: 'no-guestfish',
    hint: expect.stringContaining('libguestfs-tools'),
  });
});
