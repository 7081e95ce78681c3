import { expect, test } from 'vitest';
import { diskXml, domainXml, writerParameter } from './domain-xml.ts';
import { guestWriter } from './guest.ts';

test('a path keeps its quotes, angles and ampersands', () => {
  const xml = diskXml({ target: 'vda', path: `/a'b"<c>&d`, format: 'raw', driver: { cache: 'none' } });
  expect(xml).toContain("<source file='/a&#39;b&#34;&#60;c&#62;&#38;d'/>");
  expect(xml).toContain("<driver name='qemu' type='raw' cache='none'/>");
});

test('each writer becomes one word of the kernel’s command line', () => {
  const writer = guestWriter('vdb', { offset: 512n, length: 8192n }, { run: 'abc', seed: 7, rate: 'max' });
  expect(writerParameter(writer)).toBe('bf.writer=vdb:abc:7:512:8192:4096:0:1:1');
  expect(() => writerParameter({ ...writer, run: 'two words' })).toThrow('letters and digits');
  const xml = domainXml({
    name: 'vm',
    disks: [],
    kernel: '/k',
    initrd: '/i',
    serialLog: '/log',
    writers: [writer],
  });
  expect(xml).toMatch(/<cmdline>console=ttyS0 .* bf\.writer=vdb:abc:\S*<\/cmdline>/);
});
