// `npm run bench`: what ours and others do side by side, as a table, JSON and a plot.
import { fileURLToPath } from 'node:url';
import { benchArguments, USAGE } from './arguments.ts';
import { CASES } from './cases/index.ts';
import { reportText } from './report/table.ts';
import { writeReport } from './report/write.ts';
import { runBench } from './run-bench.ts';

const results = fileURLToPath(new URL('../results', import.meta.url));

async function main(): Promise<void> {
  const wanted = benchArguments(process.argv.slice(2));
  if (wanted.help) {
    console.log(USAGE);
    return;
  }
  if (wanted.list) {
    for (const { name, title } of CASES) console.log(`${name.padEnd(14)}${title}`);
    return;
  }
  const report = await runBench(wanted, (text) =>
    console.error(`${new Date().toISOString().slice(11, 19)} ${text}`),
  );
  console.log(`\n${reportText(report)}\n`);
  for (const path of await writeReport(wanted.out ?? results, report)) console.log(path);
  // That virsh fails is a finding about it; anything else that fails must not be overlooked.
  const failed = report.cases.some(({ notes }) =>
    notes.some((note) => note.startsWith('FAILED') && !note.startsWith('FAILED: virsh')),
  );
  process.exitCode = failed ? 1 : 0;
}

try {
  await main();
} catch (error) {
  const unknown =
    error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  console.error(unknown ? `${error.message}\n${USAGE}` : error);
  process.exitCode = 1;
}
