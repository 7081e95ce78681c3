// What losetup lists is read as stat has it.
import { expect, it } from 'vitest';
import { parseLoops } from './loop-devices.ts';

it('gives the file behind each loop device, by the numbers that stat has', () => {
  const listed = '  7:0    254:0     15343702\n 7:300     8:1048575 12\n  7:2\n';
  expect([...parseLoops(listed)]).toEqual([
    ['device 7:0', `file ${254 * 256}:15343702`],
    ['device 7:300', `file ${0xfff008ffn}:12`],
  ]);
});
