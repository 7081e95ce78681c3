// What doctor found, for people.
import type { Check } from '@blockferry/engine';

const MARKS: Readonly<Record<Check['status'], string>> = { ok: 'ok', warning: 'warning', missing: 'MISSING' };

export function checkText({ status, title, found, remedy }: Check): string {
  const line = `${MARKS[status].padEnd(8)} ${title}: ${found}\n`;
  return remedy === undefined ? line : `${line}         → ${remedy}\n`;
}
