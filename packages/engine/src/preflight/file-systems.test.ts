import { expect, test } from 'vitest';
import { byFileSystem } from './file-systems.ts';

test('disks in several directories of one file system need their room together', () => {
  const needs = [
    { directory: '/a', device: 1n, bytes: 5n },
    { directory: '/b', device: 2n, bytes: 7n },
    { directory: '/a/c', device: 1n, bytes: 6n },
  ];
  expect(byFileSystem(needs)).toEqual([
    { directory: '/a', device: 1n, bytes: 11n },
    { directory: '/b', device: 2n, bytes: 7n },
  ]);
});
