// The engine copying all disks of a domain at one instant, in a process that can be told to die at exact points. Started by
// ferry.ts, whose lines it writes.
import { Link, OpenMoves, preflightCopies, runGroup, stateDirectory } from '@blockferry/engine';
import { localHost } from '@blockferry/qemu';
import { halting } from './halting.ts';

const [points = '[]', , uri = '', domain = '', directory = '', ...options] = process.argv.slice(2);
const pass = halting(points);
const say = (line: object): void => {
  process.stdout.write(
    `${JSON.stringify(line, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))}\n`,
  );
};
const host = localHost();
const openMoves = new OpenMoves(host, stateDirectory(process.env, process.getuid?.() ?? 0));
const context = { link: new Link(uri), host, openMoves };
const { disks } = await preflightCopies(context, {
  domain,
  disks: { allTo: directory },
  scope: 'chain',
  verify: true,
  quiesce: options.includes('--quiesce') ? 'require' : 'off',
});
const ended = await runGroup(
  context,
  disks.map(({ move }) => move),
  {
    signal: new AbortController().signal,
    report: (_, report) => say(report),
    afterStep: (step) => pass('step-done', step),
  },
);
const kinds = new Set(ended.disks.map(({ ending }) => ending.kind));
say({ type: 'result', outcome: [...kinds].join('+'), exitCode: 0, error: null });
process.exit(0);
