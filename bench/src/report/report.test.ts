// The table and the plot, from figures that are known.
import { expect, test } from 'vitest';
import { type Figure, median, timesBetter } from '../result.ts';
import { reportSvg } from './plot.ts';
import type { Report } from './report.ts';
import { reportText } from './table.ts';

const figures: readonly Figure[] = [
  { peer: 'blockferry', what: 'time', unit: 's', values: [7, 8, 9] },
  { peer: 'blockferry', what: 'speed', unit: 'MB/s', values: [450] },
  { peer: 'virsh <1>', what: 'time', unit: 's', values: [24, 20] },
];
const report: Report = {
  ...{
    version: 1,
    at: '2026-01-02T03:04:05.678Z',
    size: 1,
    repeat: 3,
    strategy: 'layered',
    cache: 'default',
  },
  ...{ quiet: false, limit: { readMBps: 600, writeMBps: 400, copyMBps: 500 } },
  machine: {
    ...{
      cpu: 'a',
      cores: 2,
      memoryGiB: 4,
      kernel: '6',
      qemu: '7',
      libvirt: '9',
      node: 'v24',
      loadAtStart: 3,
    },
  },
  cases: [{ name: 'one', title: 'One', figures, ratios: [{ what: 'time', value: 2.75 }], notes: ['a note'] }],
};

test('the middle of the rounds counts', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 2])).toBe(3);
  expect(median([])).toBeNaN();
});

test('less time and more speed are both better', () => {
  expect(timesBetter(figures, 'time', 'blockferry', 'virsh <1>')?.value).toBeCloseTo(22 / 8);
  expect(timesBetter(figures, 'speed', 'blockferry', 'virsh <1>')).toBeUndefined();
  const speeds = [450, 150].map((value, n): Figure => {
    return { peer: `p${n}`, what: 'speed', unit: 'MB/s', values: [value] };
  });
  expect(timesBetter(speeds, 'speed', 'p0', 'p1')?.value).toBe(3);
});

test('the table has a column for each peer, and says what is missing and what not to publish', () => {
  expect(reportText(report).split('\n').slice(4)).toMatchInlineSnapshot(`
    [
      "NOT TO BE PUBLISHED: something else was at work on this machine.",
      "",
      "== one: One",
      "                     blockferry         virsh <1>",
      "  time      s  8.00 (7.00-9.00)  22.0 (20.0-24.0)",
      "  speed  MB/s             450.0                 -",
      "  2.75x  time",
      "  90 % of what the storage can copy: blockferry, the whole move",
      "  note: a note",
    ]
  `);
});

test('the plot is well-formed and shows each figure', () => {
  const svg = reportSvg(report);
  expect(svg).toContain('virsh &lt;1&gt;');
  expect(svg.match(/<rect /g)).toHaveLength(4);
  expect(svg.match(/<text /g)?.length).toBe(svg.match(/<\/text>/g)?.length);
});
