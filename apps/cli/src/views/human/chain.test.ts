// A chain as a tree.
import type { ChainReport } from '@blockferry/engine';
import { describe, expect, it } from 'vitest';
import { chainText } from './chain.ts';

const MIB = 1n << 20n;
const base = { source: { kind: 'file', path: '/old/base.qcow2' }, format: 'qcow2' } as const;

describe('a chain', () => {
  const image = { format: 'qcow2', virtualSize: 64n * MIB, allocated: 5n * MIB, usedBy: [] } as const;
  const report: ChainReport = {
    domain: 'web',
    disk: 'vda',
    definition: 'live',
    images: [
      { ...image, path: '/top' },
      {
        ...image,
        path: '/base',
        usedBy: [
          {
            domain: 'clone',
            uuid: 'c',
            disk: 'sda',
            definition: 'persistent',
            role: 'backing',
            format: 'qcow2',
            source: base.source,
          },
        ],
      },
    ],
    problem: undefined,
    mirror: undefined,
    nextBoot: undefined,
    unknownUses: [],
  };

  it('is a tree with the active image on top, sizes, and who else uses each image', () => {
    const text = chainText(report);
    expect(text).toMatch(/\n\/top +qcow2 +64\.0 MiB +5\.0 MiB/);
    expect(text).toMatch(/\n└─ \/base .* clone sda as backing/);
  });

  it('of a drive without a medium says so', () => {
    expect(chainText({ ...report, images: [] })).toMatch(/: no medium\n$/);
  });

  it('says what could not be seen', () => {
    const text = chainText({
      ...report,
      images: [{ ...image, path: '/top', virtualSize: undefined, allocated: undefined }],
      problem: '/base does not exist',
      nextBoot: '/elsewhere',
      unknownUses: [{ domain: 'odd', disk: 'vda', why: 'no such file' }],
    });
    expect(text).toContain('the images could not be read: /base does not exist');
    expect(text).toContain('the next boot uses /elsewhere');
    expect(text).toContain('what vda of odd uses is not known: no such file');
    expect(text).toMatch(/\/top +qcow2 +\? +\?/);
  });
});
