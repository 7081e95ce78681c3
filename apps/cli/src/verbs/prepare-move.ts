// What `plan` and `move` do before anything is touched: read the options, and have preflight look at everything.
import { readFile } from 'node:fs/promises';
import { type Context, type Plan, planOf, preflight } from '@blockferry/engine';
import { DomainXmlError, parseDiskXml } from '@blockferry/libvirt';
import { type MoveArguments, type MoveOptions, moveArguments } from '../arguments/move-request.ts';
import { UsageError } from '../arguments/usage-error.ts';

/** @throws UsageError */
export function readMoveArguments(
  domain: string,
  disk: string,
  destination: string | undefined,
  options: MoveOptions,
): Promise<MoveArguments> {
  return moveArguments({ domain, disk, destination }, options, readXml);
}

/** @throws Refusal, with nothing touched */
export async function makePlan(context: Context, { request }: MoveArguments): Promise<Plan> {
  return planOf(await preflight(context, request));
}

/** The text of a destination XML, which must be one: libvirt's own words for it come too late. */
async function readXml(path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    parseDiskXml(text);
    return text;
  } catch (error) {
    const known = error instanceof DomainXmlError || (error instanceof Error && 'syscall' in error);
    if (!known) throw error;
    throw new UsageError(
      `--dest-xml ${path}: ${error.message}`,
      "a libvirt element: <disk type='file'>…</disk>",
    );
  }
}
