// Everything `npm test` checks, one step after the other; goes on after a failure, and ends with the count.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Count = { readonly passed: number; readonly failed: number };

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const reports = mkdtempSync(join(tmpdir(), 'bf-check-'));

/** What failed, told once more at the end: what is above it may be long, or cut off. */
const failures: string[] = [];

/** Runs a Node program of this checkout, showing what it prints. Its exit code; 1 when a signal ended it. */
function node(...argv: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(join(root, 'scripts/node'), argv, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', () => resolve(1));
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function staticCheck(...argv: readonly string[]): Promise<Count> {
  const ok = (await node(...argv)) === 0;
  if (!ok) failures.push(argv.join(' '));
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1 };
}

async function tests(project: string): Promise<Count> {
  const file = join(reports, `${project}.json`);
  const code = await node(
    ...['node_modules/vitest/vitest.mjs', 'run', '--project', project, '--passWithNoTests'],
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
  );
  const report = readReport(file);
  failures.push(...failedTests(report));
  return countTests(report, code);
}

/** Its file, its name, and what it said first. */
function failedTests(report: unknown): string[] {
  return listIn(report, 'testResults').flatMap((file) => {
    const name = String(memberOf(file, 'name')).replace(`${root}/`, '');
    const failed = listIn(file, 'assertionResults').filter((test) => memberOf(test, 'status') === 'failed');
    if (failed.length === 0 && memberOf(file, 'status') === 'failed')
      return [`${name}: ${memberOf(file, 'message')}`];
    return failed.map((test) => {
      const [message] = listIn(test, 'failureMessages');
      return `${name}: ${memberOf(test, 'fullName')}: ${String(message).slice(0, LONGEST_MESSAGE)}`;
    });
  });
}

const LONGEST_MESSAGE = 600;

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function listIn(value: unknown, name: string): readonly unknown[] {
  const list = memberOf(value, name);
  return Array.isArray(list) ? list : [];
}

function readReport(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // vitest ended before it could write one; its exit code says so too
  }
}

function numberIn(report: unknown, name: string): number {
  const value = memberOf(report, name);
  return typeof value === 'number' ? value : 0;
}

/** A skipped test has proved nothing, and a file that does not load or an unhandled error is a failure of its own. */
function countTests(report: unknown, exitCode: number): Count {
  const passed = numberIn(report, 'numPassedTests');
  const skipped = numberIn(report, 'numPendingTests') + numberIn(report, 'numTodoTests');
  if (skipped > 0) console.log(`${skipped} skipped tests count as failed`);
  const failed = numberIn(report, 'numFailedTests') + skipped;
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}

const steps: readonly (readonly [string, () => Promise<Count>])[] = [
  [
    'Lint, format and import direction',
    () => staticCheck('node_modules/@biomejs/biome/bin/biome', 'check', '.'),
  ],
  ['Types', () => staticCheck('node_modules/typescript/bin/tsc', '-p', '.')],
  ['Unit tests', () => tests('unit')],
  ['Tests on real libvirt and QEMU', () => tests('real')],
];

let passed = 0;
let failed = 0;
for (const [what, check] of steps) {
  console.log(`\n=== ${what}`);
  const count = await check();
  passed += count.passed;
  failed += count.failed;
}
rmSync(reports, { recursive: true, force: true });
if (failures.length > 0) console.log(['\n=== Failed', ...failures].join('\n- '));
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
