// A copy journal is believed whole or not at all.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Identity } from './identity.ts';
import { type CopyJournal, formatCopyJournal, parseCopyJournal } from './journal.ts';
import { copyJournalPath, destinationOfCopyJournal } from './layer-plan.ts';
import { WindowSet, windowCount } from './windows.ts';

const text = fc.string({ unit: 'grapheme' });
const identity: fc.Arbitrary<Identity> = fc.record(
  { name: text, device: text, inode: text, size: text, mtimeNs: text, head: text },
  { requiredKeys: ['name'] },
);

const journal: fc.Arbitrary<CopyJournal> = fc
  .record({
    moveId: text,
    how: fc.constantFrom('bytes' as const, 'contents' as const),
    cut: fc.record({ total: fc.bigInt({ min: 0n, max: 1n << 40n }), windowBytes: fc.constant(1n << 28n) }),
    sources: fc.array(identity, { minLength: 1, maxLength: 3 }),
    destination: identity,
    finished: fc.boolean(),
    chances: fc.array(fc.constantFrom('none', 'copied', 'verified'), { maxLength: 100 }),
  })
  .map(({ chances, ...rest }) => {
    const count = windowCount(rest.cut);
    const indexes = [...chances.keys()].filter((index) => index < count);
    return {
      ...rest,
      copied: new WindowSet(indexes.filter((index) => chances[index] !== 'none')),
      verified: new WindowSet(indexes.filter((index) => chances[index] === 'verified')),
    };
  });

test('a journal that is written down and read again is the same', () => {
  fc.assert(
    fc.property(journal, (each) => {
      const { copied, verified, ...rest } = parseCopyJournal(formatCopyJournal(each)) ?? each;
      const { copied: _, verified: __, ...expected } = each;
      expect(rest).toEqual(expected);
      expect([String(copied), String(verified)]).toEqual([String(each.copied), String(each.verified)]);
    }),
  );
});

test('a torn journal counts as none', () => {
  fc.assert(
    fc.property(journal, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (each, part) => {
      const whole = formatCopyJournal(each);
      expect(parseCopyJournal(whole.slice(0, Math.floor(part * whole.length)))).toBeUndefined();
    }),
  );
});

test('a journal in which anything was changed counts as none', () => {
  fc.assert(
    fc.property(journal, fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (each, where, letter) => {
      const whole = formatCopyJournal(each);
      const at = where % whole.length;
      fc.pre(whole[at] !== letter);
      expect(parseCopyJournal(whole.slice(0, at) + letter + whole.slice(at + 1))).toBeUndefined();
    }),
  );
});

test('garbage counts as none', () => {
  fc.assert(
    fc.property(text, (garbage) => {
      expect(parseCopyJournal(garbage)).toBeUndefined();
    }),
  );
  expect(parseCopyJournal('\0'.repeat(4096))).toBeUndefined();
});

test('a destination is found again from the name of its journal', () => {
  expect(copyJournalPath('/d/copy.qcow2')).toBe('/d/.copy.qcow2.blockferry-copy');
  expect(destinationOfCopyJournal('/d/.copy.qcow2.blockferry-copy')).toBe('/d/copy.qcow2');
  for (const name of ['/d/copy.qcow2', '/d/.blockferry-copy', '/d/.x.blockferry'])
    expect(destinationOfCopyJournal(name)).toBeUndefined();
});
