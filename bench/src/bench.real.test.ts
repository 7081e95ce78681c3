// The bench runs from end to end on a tiny chain: every peer's command line is right, and every figure is there.
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const node = fileURLToPath(new URL('../../scripts/node', import.meta.url));
let out: string;

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'bf-bench-'));
});
afterAll(() => rm(out, { recursive: true, force: true }));

test('each kind of case gives a table, JSON and a plot', async () => {
  const cases = ['rpc', 'start-up', 'aged'].flatMap((name) => ['--case', name]);
  const argv = [main, '--size', '0.002', '--repeat', '1', '--guard', '2', '--out', out, ...cases];
  const child = spawn(node, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => said.push(String(text)));
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code, said.join('')).toBe(0);
  const files = await readdir(out);
  expect(files.map((name) => name.split('.').at(-1)).sort()).toEqual(['json', 'svg']);
  const json = files.find((name) => name.endsWith('.json')) ?? '';
  const report: unknown = JSON.parse(await readFile(join(out, json), 'utf8'));
  expect(report).toMatchObject({
    version: 1,
    machine: { cores: expect.any(Number) },
    limit: { copyMBps: expect.any(Number) },
  });
  const text = said.join('');
  for (const words of ['== aged', 'virsh blockcopy', 'write p95', 'longest gap', 'python3-libvirt', 'cpu s'])
    expect(text).toContain(words);
  expect(text).not.toContain('FAILED');
}, 300_000);
