// What `plan` and `move` do before anything is touched: read the options, and have preflight look at everything.
import { readFile } from 'node:fs/promises';
import { type Context, type MoveRequest, type Plan, planOf, preflight, Refusal } from '@blockferry/engine';
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
export async function makePlan(
  context: Context,
  { request, keepShape, strategy }: MoveArguments,
): Promise<Plan> {
  if (strategy === 'layered') {
    throw new Refusal(
      'strategy-not-there',
      'the layered strategy is not there yet',
      {},
      'use --strategy mirror with --shallow or --flatten',
    );
  }
  const plan = planOf(await preflight(context, request));
  if (keepShape && plan.chainBefore.length > 1) throw chooseScope(request, plan);
  return plan;
}

/** The default keeps a chain's shape, which only the layered strategy can. */
function chooseScope(request: MoveRequest, { chainBefore }: Plan): Refusal {
  return new Refusal(
    'choose-scope',
    `${request.disk} of ${request.domain} is a chain of ${chainBefore.length} images, and moving a whole chain in its shape is not there yet`,
    { images: chainBefore.length },
    'choose --shallow (move the active image, share the rest) or --flatten (make one image of it all)',
  );
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
