// Trees of images, whatever was seen.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatByMagic } from './strays.ts';
import {
  buildTrees,
  eachImage,
  type Seen,
  type SeenImage,
  type SeenUse,
  type TreeImage,
  treesOf,
} from './tree.ts';

const GiB = (1024n ** 3n) as SeenImage['virtualSize'];

function image(key: string, base?: string, more: Partial<SeenImage> = {}): SeenImage {
  const backing = base && {
    backing: {
      reference: `/${base}`,
      relative: false,
      base: { key: base, path: `/${base}` },
      broken: undefined,
    },
  };
  const facts = { virtualSize: GiB, allocated: GiB, backing: undefined, problem: undefined };
  return { key, path: `/${key}`, format: 'qcow2', ...facts, ...backing, ...more };
}

function use(key: string, domain = 'web', more: Partial<SeenUse> = {}): SeenUse {
  const rest = { running: true, disk: 'vda', definition: 'live', role: 'active', job: undefined } as const;
  return { key, domain, uuid: domain, ...rest, ...more };
}

function build(images: SeenImage[], uses: SeenUse[], more: Partial<Seen> = {}): TreeImage[] {
  return buildTrees({ images, uses, referred: new Map(), complete: true, ...more });
}

/** `base(snap(top), clone)` */
function shape(trees: readonly TreeImage[]): string {
  return trees
    .map(({ path, children }) => path.slice(1) + (children.length === 0 ? '' : `(${shape(children)})`))
    .join(', ');
}

const standing = (trees: readonly TreeImage[]) =>
  Object.fromEntries([...eachImage(trees)].map(({ image: one }) => [one.path.slice(1), one.standing.kind]));

describe('trees', () => {
  it('show a shared base once, with all that stands on it below', () => {
    const images = [image('top', 'snap'), image('snap', 'base'), image('base'), image('clone', 'base')];
    const trees = build(images, [use('top'), use('clone', 'clone'), use('other', 'none')]);
    expect(shape(trees)).toBe('base(clone, snap(top))');
    expect(trees[0]?.users).toEqual([]);
    expect(trees[0]?.children[0]?.users).toMatchObject([{ domain: 'clone', disk: 'vda' }]);
    expect(treesOf(trees, 'clone')).toEqual(trees);
    expect(treesOf(trees, 'none')).toEqual([]);
  });

  it('tell live from persistent uses of one disk, and a copy in the making', () => {
    const uses = [
      use('a'),
      use('a', 'web', { definition: 'persistent' }),
      use('a', 'db', { role: 'mirror', job: 'copy' }),
    ];
    expect(build([image('a')], uses)[0]?.users).toMatchObject([
      { domain: 'db', role: 'mirror', job: 'copy', definitions: ['live'] },
      { domain: 'web', role: 'active', definitions: ['live', 'persistent'] },
    ]);
  });

  it('know one file by several names, and declared as several formats', () => {
    const [one] = build([image('a'), image('a', undefined, { path: '/link', format: 'raw' })], [use('a')]);
    expect(one).toMatchObject({ path: '/a', alsoNamed: ['/link'], format: 'qcow2', alsoDeclared: ['raw'] });
    const failed = image('a', undefined, { path: '/gone', problem: 'no' });
    expect(build([failed, image('a')], [])[0]).toMatchObject({
      path: '/a',
      alsoNamed: ['/gone'],
      problem: undefined,
    });
  });

  it('call orphan only what no chain has and nothing names, with all that keeps it', () => {
    const images = ['top:base', 'base', 'lost:base', 'kept:keeps', 'keeps', 'alone'].map((text) => {
      const [key = '', base] = text.split(':');
      return image(key, base);
    });
    const referred = new Map([['kept', 'snapshot s of web']]);
    const trees = build(images, [use('top')], { referred });
    expect(standing(trees)).toEqual({
      ...{ top: 'used', base: 'used', kept: 'referred', keeps: 'referred', lost: 'orphan', alone: 'orphan' },
    });
    const unsure = build(images, [use('top')], { referred, complete: false });
    expect(standing(unsure)).toMatchObject({ lost: 'perhaps-orphan', base: 'used' });
  });

  it('begin anew above a base that is not there, and say so', () => {
    const gone = {
      reference: 'gone',
      relative: true,
      base: { key: 'gone', path: '/gone' },
      broken: 'it does not exist',
    };
    const [top] = build([image('top', undefined, { backing: gone })], [use('top')]);
    expect(top?.backing).toEqual({
      reference: 'gone',
      relative: true,
      base: '/gone',
      broken: 'it does not exist',
    });
  });

  it('end where a chain leads back into itself', () => {
    expect(shape(build([image('a', 'b'), image('b', 'a'), image('top', 'a')], [use('top')]))).toBe(
      'a(b, top)',
    );
  });

  it('have each image exactly once, below its base, and used when anything used stands on it', () => {
    const keys = [...'abcdefgh'];
    const key = fc.constantFrom(...keys);
    const links = fc.array(fc.record({ key, base: fc.option(key, { nil: undefined }) }), { maxLength: 12 });
    fc.assert(
      fc.property(links, fc.array(key), (seen, used) => {
        const trees = build(
          seen.map((one) => image(one.key, one.base)),
          used.map((one) => use(one)),
        );
        const all = [...eachImage(trees)];
        const keysSeen = new Set(seen.map((one) => `/${one.key}`));
        expect(all).toHaveLength(keysSeen.size);
        expect(new Set(all.map(({ image: one }) => one.path))).toEqual(keysSeen);
        for (const { image: one, base } of all) {
          if (base !== undefined) expect(one.backing?.base).toBe(base.path);
          if (used.includes(one.path.slice(1))) expect(one.standing.kind).toBe('used');
          if (one.standing.kind === 'used' && base !== undefined) expect(base.standing.kind).toBe('used');
        }
      }),
    );
  });
});

describe('a file is an image', () => {
  it.each([
    ['514649fb00000003', 'qcow2'],
    ['514649fb00000001', 'qcow'],
    ['4b444d5601000000', 'vmdk'],
    ['4c554b53babe0001', 'luks'],
    [`${'00'.repeat(64)}7f10dabe`, 'vdi'],
  ])('that begins so: %s', (hex, format) => {
    expect(formatByMagic(hex)).toBe(format);
  });

  it.each(['', '00', '514649fc00000003', '7f10dabe'])('not when it begins so: %s', (hex) => {
    expect(formatByMagic(hex)).toBeUndefined();
  });
});
