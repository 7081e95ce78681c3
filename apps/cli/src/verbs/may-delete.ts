// Asks before sources are deleted, or a device is overwritten that seems to hold something.
import type { MoveRecord, Plan } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import type { MoveOptions } from '../arguments/move-request.ts';
import type { Io } from '../terminal/io.ts';

/** What the result says when the answer was no. */
export const DECLINED = { code: 'declined', message: 'nothing was touched', hint: undefined } as const;

/** Asks on a terminal if sources are to be deleted; --yes, --json and scripts have decided already. */
export async function mayDelete(
  io: Io,
  moves: readonly MoveRecord[],
  { yes, json }: Pick<MoveOptions, 'yes' | 'json'>,
): Promise<boolean> {
  const doomed = moves.filter(({ options }) => options.deleteSource);
  if (doomed.length === 0 || yes || json || !io.canAsk) return true;
  const names = doomed.flatMap(({ sources }) => sources.map(({ source }) => describeSource(source)));
  const once = doomed.some(({ shorten }) => shorten === undefined)
    ? 'the guest runs on the copy'
    : 'the chain does without';
  const answer = await io.ask(`${names.join(', ')} will be deleted once ${once}. Go on? [y/N] `);
  return isYes(answer);
}

/** The same for what stands on a device: a name that was mistyped is another one's data. */
export async function mayOverwrite(
  io: Io,
  plans: readonly Pick<Plan, 'warnings'>[],
  { yes, json }: Pick<MoveOptions, 'yes' | 'json'>,
): Promise<boolean> {
  const held = plans.flatMap(({ warnings }) =>
    warnings.flatMap(({ code, message }) => (code === 'destination-holds-data' ? [message] : [])),
  );
  if (held.length === 0 || yes || json || !io.canAsk) return true;
  return isYes(await io.ask(`${held.join('; ')}. Go on? [y/N] `));
}

function isYes(answer: string | undefined): boolean {
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}
