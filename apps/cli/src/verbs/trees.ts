// blockferry chain over everything: whole trees of images, as a table, as JSON, or drawn.
import { resolve } from 'node:path';
import { eachImage, findDomain, inspectTrees, Refusal, type TreesReport, treesOf } from '@blockferry/engine';
import type { Host } from '@blockferry/qemu';
import { pathOnHost } from '../arguments/path-on-host.ts';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { dotText } from '../views/graph/dot.ts';
import { treesText } from '../views/human/trees.ts';
import { doubtLines, imageLine } from '../views/json/inventory.ts';
import { formatLine } from '../views/json/lines.ts';
import { type LookTools, lookCommand } from './commands.ts';
import type { Invocation } from './verb.ts';

export interface TreeOptions {
  readonly directory?: readonly string[];
  readonly dot?: boolean;
  readonly svg?: string;
  readonly json?: boolean;
}

interface TreesWanted extends TreeOptions {
  /** Only the trees that it has a part in. */
  readonly domain: string | undefined;
}

/** @param check throws UsageError for what does not go together */
export function runTrees(invocation: Invocation, wanted: TreesWanted, check: () => void): Promise<ExitCode> {
  return lookCommand(invocation, wanted.json ?? false, async (tools) => {
    check();
    const ways = [wanted.dot, wanted.svg, wanted.json].filter((way) => way !== undefined && way !== false);
    if (ways.length > 1) throw new UsageError('--dot, --svg and --json: one of them');
    const { context } = tools;
    const directories = (wanted.directory ?? []).map((path) => pathOnHost(context.host, path));
    const report = await inspectTrees(context, { directories });
    await show(await narrowed(tools, report, wanted.domain), wanted, tools);
    return ExitCode.DONE;
  });
}

async function narrowed(
  { context }: LookTools,
  report: TreesReport,
  domain: string | undefined,
): Promise<TreesReport> {
  if (domain === undefined) return report;
  const { name } = await findDomain(await context.link.connection(), domain);
  return { ...report, trees: treesOf(report.trees, name) };
}

async function show(report: TreesReport, wanted: TreesWanted, { io, session }: LookTools): Promise<void> {
  if (wanted.dot === true) io.out(dotText(report.trees));
  else if (wanted.svg !== undefined) {
    const { drawSvg } = await import('../views/graph/svg.ts');
    const svg = await drawSvg(dotText(report.trees));
    if (wanted.svg === '-') io.out(svg);
    else await writeDrawing(session.here, resolve(wanted.svg), svg);
  } else if (wanted.json === true) {
    for (const { image, base } of eachImage(report.trees)) io.out(formatLine(imageLine(image, base)));
    for (const line of doubtLines(report)) io.out(formatLine(line));
  } else io.out(treesText(report));
}

/** Where we wrote a drawing before, another takes its place; a disk image or anything else is left alone. */
async function writeDrawing(here: Host, path: string, svg: string): Promise<void> {
  const there = await here.stat(path);
  if (there !== null && !(there.type === 'file' && (await isDrawing(here, path)))) {
    throw new Refusal('file-exists', `${path} is there, and is no SVG`, { path }, 'choose another name');
  }
  await here.writeFileAtomic(path, svg, { mode: 0o644 });
}

/** @throws HostError when it cannot be read */
async function isDrawing(here: Host, path: string): Promise<boolean> {
  const { stdout } = await here.run(['head', '-c', '1024', '--', path]);
  return stdout === '' || /<svg\s|<!DOCTYPE svg/.test(stdout);
}
