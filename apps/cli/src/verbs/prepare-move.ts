// What `plan` and `move` do before anything is touched: read the options, and have preflight look at everything.
import { readFile } from 'node:fs/promises';
import {
  type Context,
  type GroupRequest,
  type Plan,
  planOf,
  preflight,
  preflightGroup,
} from '@blockferry/engine';
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

/** What several disks are asked for that move as one. @throws UsageError */
export async function readGroupRequest(
  domain: string,
  disks: GroupRequest['disks'],
  options: MoveOptions,
): Promise<GroupRequest> {
  if ((options.dest ?? options.destXml ?? options.xml) !== undefined) {
    throw new UsageError('--dest and --dest-xml are for one disk', 'DISK=DEST names the destination of each');
  }
  const { request } = await readMoveArguments(domain, '', '', options);
  const { domain: _, disk: __, destination: ___, ...each } = request;
  return { domain, disks, pause: options.groupPause ?? false, each };
}

/** A plan for each disk. @throws Refusal, with nothing touched */
export async function makePlans(context: Context, request: GroupRequest): Promise<readonly Plan[]> {
  const { disks, leftOut } = await preflightGroup(context, request);
  return disks.map((found, at) => {
    const plan = planOf(found);
    return at === 0 ? { ...plan, warnings: [...leftOut, ...plan.warnings] } : plan;
  });
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
