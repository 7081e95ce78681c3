// Units on screen.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, formatRate, percentOf, shellWord } from './format.ts';

describe('bytes', () => {
  it.each([
    [0n, '0 B'],
    [512n, '512 B'],
    [1023n, '1023 B'],
    [1024n, '1.0 KiB'],
    [1536n, '1.5 KiB'],
    [(100n << 20n) - 1n, '100 MiB'],
    [12n << 20n, '12.0 MiB'],
    [310n << 20n, '310 MiB'],
    [(1n << 30n) - 1n, '1.0 GiB'],
    [8n << 40n, '8.0 TiB'],
    [-2048n, '-2.0 KiB'],
  ])('%s reads %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('never need more than four digits before the unit', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 64n) - 1n), (bytes) => {
        expect(formatBytes(bytes)).toMatch(/^\d{1,4}(\.\d)? ([KMGTPE]i)?B$/);
      }),
    );
  });

  it('a second make a rate', () => {
    expect(formatRate(50n << 20n)).toBe('50.0 MiB/s');
  });
});

describe('a duration', () => {
  it.each([
    [0, '0 ms'],
    [24.4, '24 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [5_230, '5.2 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 00 s'],
    [200_000, '3 min 20 s'],
    [3_599_600, '1 h 00 min'],
    [7_500_000, '2 h 05 min'],
    [356_400_000, '4 d 03 h'],
  ])('of %s ms reads %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('never shows sixty of anything', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e10, noNaN: true }), (ms) => {
        expect(formatDuration(ms)).not.toMatch(/\b60 (s|min)|\b24 h/);
      }),
    );
  });
});

describe('a percentage', () => {
  it('is 100 only when nothing is left', () => {
    expect(percentOf(999_999n, 1_000_000n)).toBe(99);
    expect(percentOf(1_000_000n, 1_000_000n)).toBe(100);
  });

  it('is 0 while the job has not said how much there is', () => {
    expect(percentOf(0n, 0n)).toBe(0);
  });
});

describe('a word of a command that can be pasted', () => {
  it('is quoted where a shell would read it otherwise', () => {
    expect(shellWord('/srv/a.qcow2')).toBe('/srv/a.qcow2');
    expect(shellWord("/srv/it's here")).toBe("'/srv/it'\\''s here'");
    expect(shellWord('$(reboot)')).toBe("'$(reboot)'");
    expect(shellWord('')).toBe("''");
  });
});
