// From a plan to a layer that can be copied: its journal is believed or begun, its destination prepared.
import { type Host, info, resize } from '@blockferry/qemu';
import { CREATE_WITHIN_MS, createPatiently } from '../storage/create-patiently.ts';
import { JournalForeign, LayerFailed } from './errors.ts';
import { destinationIdentity, differences } from './identity.ts';
import { type CopyJournal, readCopyJournal, writeCopyJournal } from './journal.ts';
import { Layer, readSources, sourceDifferences } from './layer.ts';
import { type LayerPlan, placeOf } from './layer-plan.ts';
import { roundUp, WindowSet, windowCount } from './windows.ts';

/** With O_DIRECT the tail of a file is written in blocks of the storage: its exact length comes at the end. */
const BLOCK = 4096n;
/** QEMU compresses whole clusters of qcow2, and opens no image for it that ends inside of one: that comes at the end too. */
const CLUSTER = 65536n;

export interface OpenOptions {
  readonly moveId: string;
  readonly windowBytes: bigint;
}

/**
 * Goes on with a journal that is of this source and destination; else, or with a compressed copy that is not complete,
 * begins a new one with an empty destination.
 *
 * @throws JournalForeign, LayerFailed; FileError, HostError, QemuImgError
 */
export async function openLayer(
  host: Host,
  plan: LayerPlan,
  options: OpenOptions,
  signal: AbortSignal,
): Promise<Layer> {
  const journal = await readCopyJournal(placeOf(host, plan).host, plan.journal, signal);
  if (!journal) return beginLayer(host, plan, options, signal);
  const found = await journalDifferences(host, plan, journal, signal);
  if (found.length > 0) throw new JournalForeign(plan, found);
  if (mustBeginAnew(plan, journal)) return beginLayer(host, plan, options, signal);
  return new Layer(host, plan, journal, true, signal);
}

/**
 * QEMU compresses into free clusters only: over what a run that was killed has written, it fails (EIO, seen with QEMU 7.2).
 * Until the new journal is written the old one leads here again.
 */
function mustBeginAnew({ compressed }: LayerPlan, { cut, copied, finished }: CopyJournal): boolean {
  return compressed === true && !finished && copied.size < windowCount(cut);
}

/** Why the journal is not of this plan; nothing if it is. @throws FileError, HostError */
export async function journalDifferences(
  host: Host,
  plan: LayerPlan,
  journal: CopyJournal,
  signal?: AbortSignal,
): Promise<string[]> {
  if (journal.how !== plan.how) return [`copied by ${journal.how}, to be copied by ${plan.how}`];
  const sources = await readSources(host, plan, signal);
  const there = placeOf(host, plan);
  const destination = await destinationIdentity(there.host, there.file, signal);
  return [
    ...sourceDifferences(journal.sources, sources),
    ...differences('destination', journal.destination, destination),
  ];
}

async function beginLayer(
  host: Host,
  plan: LayerPlan,
  { moveId, windowBytes }: OpenOptions,
  signal: AbortSignal,
): Promise<Layer> {
  const sources = await readSources(host, plan, signal);
  const total = await lengthOf(host, plan, signal);
  const there = placeOf(host, plan);
  await prepareDestination(there.host, { ...plan, to: there.file }, total, signal);
  const journal: CopyJournal = {
    moveId,
    how: plan.how,
    cut: { total, windowBytes },
    sources,
    destination: await destinationIdentity(there.host, there.file, signal),
    copied: new WindowSet(),
    verified: new WindowSet(),
    finished: false,
  };
  await writeCopyJournal(there.host, plan.journal, journal, signal);
  return new Layer(host, plan, journal, false, signal);
}

/** Bytes to copy: of the container, or as the guest sees it. */
async function lengthOf(host: Host, plan: LayerPlan, signal: AbortSignal): Promise<bigint> {
  const { from } = plan;
  if (plan.how === 'contents') return (await info(host, from, { signal })).virtualSize;
  if (from.format === 'raw' && from.size !== undefined) return from.size;
  const { location } = from;
  if (location.kind === 'block') return host.blockDeviceSize(location.path, { signal });
  if (location.kind === 'file') {
    const stat = await host.stat(location.path, { signal });
    if (stat) return stat.size - (from.offset ?? 0n);
  }
  return (await info(host, { location, format: 'raw' }, { signal })).virtualSize;
}

/** Empties it first: what an earlier, forgotten try left there must not show through. */
async function prepareDestination(
  host: Host,
  plan: LayerPlan,
  total: bigint,
  signal: AbortSignal,
): Promise<void> {
  const { to, how, compressed, formatOptions } = plan;
  if (how === 'contents' && to.format !== 'raw') {
    await createPatiently(host, to, compressed ? roundUp(total, CLUSTER) : total, {
      overwrite: true,
      signal,
      timeoutMs: CREATE_WITHIN_MS,
      ...(formatOptions && { formatOptions }),
    });
  } else if (to.location.kind === 'file' && to.offset === undefined) {
    await truncate(host, plan, 0n, signal);
    await truncate(host, plan, roundUp(total, BLOCK), signal);
  }
}

/**
 * Everything is copied (and verified): gives a file, or what is compressed in it, its exact length and flushes that. May be
 * repeated.
 *
 * @throws LayerFailed, QemuImgError, HostError
 */
export async function finishDestination(host: Host, layer: Layer, signal: AbortSignal): Promise<void> {
  const { journal } = layer;
  const there = placeOf(host, layer.plan);
  const plan = { ...layer.plan, to: there.file };
  const { location, format, offset } = plan.to;
  const { total } = journal.cut;
  if (plan.compressed && total % CLUSTER > 0n) {
    await resize(there.host, [plan.to], total, { shrink: true, signal });
  }
  if (location.kind !== 'file' || offset !== undefined || (plan.how === 'contents' && format !== 'raw'))
    return;
  await truncate(there.host, plan, total, signal);
  await mustRun(there.host, plan, ['sync', '--', location.path], signal);
}

async function truncate(host: Host, plan: LayerPlan, size: bigint, signal: AbortSignal): Promise<void> {
  if (plan.to.location.kind !== 'file') return;
  await mustRun(host, plan, ['truncate', '-s', String(size), '--', plan.to.location.path], signal);
}

async function mustRun(
  host: Host,
  plan: LayerPlan,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { code, stderr } = await host.run(argv, { signal });
  if (code !== 0)
    throw new LayerFailed(plan, { side: 'destination', offset: undefined, detail: stderr.trim() });
}
