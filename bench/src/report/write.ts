// JSON and SVG of a report, side by side under the time of the bench.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reportSvg } from './plot.ts';
import type { Report } from './report.ts';

/** @returns the two files' paths */
export async function writeReport(directory: string, report: Report): Promise<readonly [string, string]> {
  await mkdir(directory, { recursive: true });
  const name = report.at.slice(0, 16).replaceAll(/[-:]/g, '').replace('T', '-');
  const paths = [join(directory, `${name}.json`), join(directory, `${name}.svg`)] as const;
  await writeFile(paths[0], `${JSON.stringify(report, null, 1)}\n`);
  await writeFile(paths[1], reportSvg(report));
  return paths;
}
