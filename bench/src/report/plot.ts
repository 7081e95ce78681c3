// The results as one SVG: for each figure that people look at a group of bars, one for each peer.
import { BULK_SPEED, type Figure, median } from '../result.ts';
import type { Report } from './report.ts';

const SHOWN = [
  'time',
  'speed',
  BULK_SPEED,
  'write p95',
  'write p99',
  'longest gap',
  'at the destination',
  'calls',
  '--version',
  'list',
];
const COLOURS = ['#1f77b4', '#2ca02c', '#ff7f0e', '#9467bd', '#7f7f7f'];
const [WIDTH, LEFT, BAR, GAP] = [900, 330, 18, 14];

export function reportSvg(report: Report): string {
  const parts: string[] = [];
  let y = 24;
  const text = (x: number, words: string, more = '') =>
    parts.push(`<text x="${x}" y="${y}"${more}>${escapeText(words)}</text>`);
  text(
    10,
    `blockferry bench, ${report.at.slice(0, 10)}, ${report.machine.cores} cores, scale ${report.size}`,
    BOLD,
  );
  if (!report.quiet) {
    y += 20;
    text(10, 'Not to be published: something else was at work on this machine', ' fill="#c00"');
  }
  for (const { title, figures } of report.cases) {
    y += 34;
    text(10, title, BOLD);
    for (const what of SHOWN.filter((each) => figures.some((figure) => figure.what === each))) {
      y += GAP;
      const group = figures.filter((figure) => figure.what === what);
      parts.push(...bars(group, y));
      y += group.length * BAR;
    }
  }
  const height = y + 30;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`;
  return `${head}\n<title>Figures of the bench</title>\n<rect width="${WIDTH}" height="${height}" fill="#fff"/>\n${parts.join('\n')}\n</svg>\n`;
}

const BOLD = ' font-weight="bold"';

/** Bars of one figure, on one scale that begins at zero; a thin line from the least round to the most. */
function bars(group: readonly Figure[], top: number): string[] {
  const most = Math.max(...group.flatMap(({ values }) => values), Number.MIN_VALUE);
  const length = (value: number) => Math.max(0, (value / most) * (WIDTH - LEFT - 130));
  return group.flatMap(({ peer, what, unit, values }, n) => {
    const y = top + n * BAR;
    const [value, least, last] = [median(values), Math.min(...values), Math.max(...values)];
    const colour = COLOURS[n % COLOURS.length];
    const label = `${what}: ${peer}`;
    const figure = `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`;
    return [
      `<text x="${LEFT - 8}" y="${y + 13}" text-anchor="end">${escapeText(label)}</text>`,
      `<rect x="${LEFT}" y="${y + 3}" width="${length(value).toFixed(1)}" height="${BAR - 6}" fill="${colour}"/>`,
      `<line x1="${LEFT + length(least)}" x2="${LEFT + length(last)}" y1="${y + 9}" y2="${y + 9}" stroke="#000"/>`,
      `<text x="${LEFT + length(last) + 6}" y="${y + 13}">${escapeText(figure)}</text>`,
    ];
  });
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
