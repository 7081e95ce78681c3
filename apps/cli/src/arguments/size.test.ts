// Sizes and rates as people type them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRate, parseSize } from './size.ts';
import { UsageError } from './usage-error.ts';

const MIB = 1n << 20n;

describe('a size', () => {
  it.each([
    ['4096', 4096n],
    ['512K', 512n << 10n],
    ['512KiB', 512n << 10n],
    ['1kb', 1000n],
    ['1.5G', (3n << 30n) / 2n],
    ['0.5m', MIB / 2n],
    ['2T', 2n << 40n],
    [' 1 M ', MIB],
    ['7b', 7n],
  ])('%s is %s bytes', (text, bytes) => {
    expect(parseSize(text, '--x')).toBe(bytes);
  });

  it.each(['', 'x', '-1', '1.', '.5', '1e3', '1X', '1 2', '0x10', '10 parsecs'])('%j is refused', (text) => {
    expect(() => parseSize(text, '--x')).toThrow(UsageError);
  });

  it('is refused where libvirt could not hold it', () => {
    expect(parseSize(`${(1n << 63n) - 1n}`, '--x')).toBe((1n << 63n) - 1n);
    expect(() => parseSize(`${1n << 63n}`, '--x')).toThrow(/too large/);
    expect(() => parseSize('9999999999T', '--x')).toThrow(/too large/);
  });

  it('is not nothing where something was typed: no bandwidth would be any bandwidth', () => {
    expect(() => parseSize('0.1', '--x')).toThrow(/less than a byte/);
    expect(() => parseRate('0.0000001', '--bandwidth', { bytes: false })).toThrow(/less than a byte/);
    expect(parseSize('0.0M', '--x')).toBe(0n);
  });

  it('keeps whole numbers exact, however large', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 63n) - 1n), (bytes) => {
        expect(parseSize(String(bytes), '--x')).toBe(bytes);
      }),
    );
  });

  it('names the option that it was given for', () => {
    expect(() => parseSize('lots', '--buf-size')).toThrow('--buf-size lots');
  });
});

describe('a rate', () => {
  it('counts plain numbers in MiB/s, as virsh does', () => {
    expect(parseRate('100', '--bandwidth', { bytes: false })).toBe(100n * MIB);
    expect(parseRate('0.5', '--bandwidth', { bytes: false })).toBe(MIB / 2n);
  });

  it('counts plain numbers in bytes a second under --bytes', () => {
    expect(parseRate('100', '--bandwidth', { bytes: true })).toBe(100n);
  });

  it.each(['100M', '100MiB', '100M/s', '100MiB/s'])('reads %s as 100 MiB/s either way', (text) => {
    expect(parseRate(text, '--bandwidth', { bytes: false })).toBe(100n * MIB);
    expect(parseRate(text, '--bandwidth', { bytes: true })).toBe(100n * MIB);
  });

  it('says what a rate looks like when it is none', () => {
    expect(() => parseRate('fast', '--bandwidth', { bytes: false })).toThrow(/not a rate/);
  });
});
