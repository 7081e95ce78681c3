// Restores a point: checked, then one image a disk, compared with the point, and at the very end the definition.
import { basename, dirname, join } from 'node:path';
import { DomainCheckpointDeleteFlags } from '@blockferry/libvirt';
import { compare, convert, type Host, type Image, QemuImgError, quoteArgument } from '@blockferry/qemu';
import { checkPoints } from '../backup/check-points.ts';
import { deleted, isCheckpointOfOurs } from '../backup/checkpoints.ts';
import { NVRAM, pointPath } from '../backup/layout.ts';
import { readingPoints } from '../backup/lock.ts';
import { keyed, type LockableImage, storedImage } from '../backup/locked.ts';
import { imagesOf, type PointChain, readPoints } from '../backup/points.ts';
import { Refusal } from '../model/errors.ts';
import { checkpointsOf } from '../observe/checkpoints.ts';
import { readDefinitions } from '../observe/definitions.ts';
import type { FileIdentity } from '../record/journal.ts';
import { beginAlone } from '../run/begin-alone.ts';
import type { Context } from '../run/context.ts';
import { CREATE_WITHIN_MS, createPatiently } from '../storage/create-patiently.ts';
import { copyFile, flush } from '../storage/whole-files.ts';
import { Pace } from '../verify/pace.ts';
import { mustBeTaken } from './ask-libvirt.ts';
import { aloneRestoring } from './at-work.ts';
import { definitionFor } from './definition.ts';
import {
  filesOf,
  journalPathOf,
  readRestoreJournal,
  restoreJournalPath,
  writeRestoreJournal,
} from './journal.ts';
import { type Keys, mustOpen } from './keys.ts';
import { asWritten } from './left-out.ts';
import { definitionOf, mustBeIdle, preflightRestore } from './preflight-restore.ts';
import { removeUnused } from './remains.ts';
import type {
  Restored,
  RestoredDisk,
  RestoreOptions,
  RestorePlan,
  RestorePreflight,
  RestoreRequest,
} from './request.ts';
import { claimTpm, fillTpm, placeTpm } from './tpm.ts';
import { removeTrials } from './trial.ts';

/**
 * What a restore of the same name that died has left is removed first. A crash leaves a journal and files that no domain
 * uses; the domain that is restored over can be started until the definition is replaced, in one call, by one whose images
 * are complete. Asking again begins anew; whether
 * it was complete, `finishedBefore` tells.
 *
 * @throws Refusal `at-work` while another blockferry restores a domain of that name, and others, with nothing made; FileError, HostError, QemuImgError, LibvirtError, with what was made removed again
 */
export async function restore(
  context: Context,
  request: RestoreRequest,
  options: RestoreOptions,
): Promise<Restored> {
  const began = performance.now();
  const host = hostOf(context);
  const { name } = (await preflightRestore(context, request)).plan;
  using _ = await aloneRestoring(host, name, options.signal);
  using __ = await readingPoints(host, request.directory, options.signal);
  // One that died may have left it, and it names images of that restore.
  await removeTrials(await context.link.connection());
  // Whoever was ahead may have ended in between.
  const first = await preflightRestore(context, request);
  const afresh = await withoutRemains(context, first.plan, options);
  // Their names are free now.
  const preflight = afresh ? await preflightRestore(context, request) : first;
  for (const { code, message } of preflight.warnings) options.report({ type: 'warning', code, message });
  await mustBeTaken(await context.link.connection(), preflight);
  await mustBeGood(host, preflight, options);
  const keys: Keys = () => context.link.connection();
  await mustOpen(host, keys, preflight, options.signal);
  try {
    await makeFiles(host, keys, preflight, options);
    const uuid = await define(context, preflight, options);
    await host.unlink(journalPathOf(preflight.plan));
    options.afterStep?.('close');
    const { plan, kept, bytes } = preflight;
    return { plan, uuid, kept, bytes, durationMs: performance.now() - began };
  } catch (error) {
    await takeBack(context, preflight.plan).catch(() => {}); // the journal stays, and leads here again
    throw error;
  }
}

function hostOf({ host }: Context): Host {
  if (host === undefined) throw new Error('refused before');
  return host;
}

/** @returns whether there was something */
async function withoutRemains(
  context: Context,
  plan: RestorePlan,
  options: RestoreOptions,
): Promise<boolean> {
  const host = hostOf(context);
  const directories = new Set(plan.disks.map(({ path }) => dirname(path)));
  let found = false;
  for (const directory of directories) {
    const path = restoreJournalPath(directory, plan.name);
    const journal = await readRestoreJournal(host, path);
    if (journal === undefined) continue;
    await removeUnused(context, path, journal);
    const message = `a restore of ${plan.name} that died had left files in ${directory}: they are removed, and it begins anew`;
    options.report({ type: 'warning', code: 'begun-anew', message });
    found = true;
  }
  if (found) options.afterStep?.('remove-leftovers');
  return found;
}

async function mustBeGood(
  host: Host,
  { plan: { directory, point } }: RestorePreflight,
  options: RestoreOptions,
): Promise<void> {
  options.report({ type: 'phase', phase: 'checking' });
  const points = await readPoints(host, directory);
  const [checked] = await checkPoints(host, directory, points, [point], options);
  options.afterStep?.('check');
  const problems = checked?.problems ?? [];
  if (problems.length === 0) return;
  throw new Refusal(
    'point-broken',
    `${point} is no good backup: ${problems.join('; ')}`,
    { point, problems },
    `blockferry backup verify ${quoteArgument(directory)} tells which points are good; --point names one`,
  );
}

async function makeFiles(
  host: Host,
  keys: Keys,
  { plan, chain }: RestorePreflight,
  options: RestoreOptions,
): Promise<void> {
  await writeRestoreJournal(host, { plan, files: {} });
  options.afterStep?.('record');
  const files: Record<string, FileIdentity> = {};
  for (const path of filesOf(plan)) {
    await host.createExclusive(path);
    files[path] = await identityOf(host, path);
  }
  if (plan.tpm !== undefined) {
    await claimTpm(host, plan.tpm);
    files[plan.tpm.directory] = await identityOf(host, plan.tpm.directory);
  }
  await writeRestoreJournal(host, { plan, files });
  options.afterStep?.('claim');
  options.report({ type: 'phase', phase: 'restoring' });
  for (const disk of plan.disks) await fill(host, await openable(keys, plan, chain, disk), options);
  if (plan.nvram !== undefined) {
    const stored = join(pointPath(plan.directory, plan.point), NVRAM);
    await copyFile(host, stored, plan.nvram, options.signal);
  }
  if (plan.tpm !== undefined) await fillTpm(host, plan, plan.tpm, options.signal);
  const [first, ...rest] = filesOf(plan);
  if (first !== undefined) await flush(host, [first, dirname(first), ...rest], options.signal);
  options.afterStep?.('fill');
  options.report({ type: 'phase', phase: 'comparing' });
  for (const disk of plan.disks)
    await mustShowTheSame(host, await openable(keys, plan, chain, disk), options);
  options.afterStep?.('compare');
}

async function identityOf(host: Host, path: string): Promise<FileIdentity> {
  const stat = await host.stat(path);
  if (stat === null) throw new Error(`${path} vanished as soon as it was made`);
  return { device: stat.device, inode: stat.inode };
}

/** An image to be made of a disk's images in the point, all with what opens them. */
interface Restoring {
  readonly disk: RestoredDisk;
  readonly image: Image;
  readonly chain: readonly [Image, ...Image[]];
}

async function openable(
  keys: Keys,
  { directory }: RestorePlan,
  chain: PointChain,
  disk: RestoredDisk,
): Promise<Restoring> {
  const [top, ...below] = imagesOf(directory, chain, disk.target);
  const [image, first, ...rest] = await Promise.all(
    [imageOf(disk), top, ...below].map((each) => keyed(keys, each)),
  );
  if (image === undefined || first === undefined) throw new Error('a chain has an image');
  return { disk, image, chain: [first, ...rest] };
}

async function fill(host: Host, { disk, image, chain }: Restoring, options: RestoreOptions): Promise<void> {
  await createPatiently(host, image, disk.capacity, { overwrite: true, timeoutMs: CREATE_WITHIN_MS });
  // Where LUKS is all of the image, what was not written reads as noise.
  const targetIsZero = image.format !== 'luks';
  const pace = new Pace(disk.capacity);
  const onProgress = (fraction: number) => {
    options.report({ type: 'progress', stage: 'restoring', ...pace.part(fraction) });
  };
  await directlyIfPossible((direct) =>
    convert(host, chain, image, { signal: options.signal, onProgress, direct, targetIsZero }),
  );
}

async function mustShowTheSame(
  host: Host,
  { disk, image, chain }: Restoring,
  { signal, report }: RestoreOptions,
): Promise<void> {
  const pace = new Pace(disk.capacity);
  const onProgress = (fraction: number) => {
    report({ type: 'progress', stage: 'comparing', ...pace.part(fraction) });
  };
  const result = await directlyIfPossible((direct) =>
    compare(host, chain, [image], { signal, onProgress, direct }),
  );
  if (!result.same) throw new Error(`${disk.path} is not what the point holds: ${result.detail}`);
}

function imageOf(disk: RestoredDisk): LockableImage {
  return storedImage(dirname(disk.path), { ...disk, path: basename(disk.path) });
}

/** Past the page cache, unless the storage knows no direct I/O. */
async function directlyIfPossible<T>(work: (direct: boolean) => Promise<T>): Promise<T> {
  try {
    return await work(true);
  } catch (error) {
    if (!(error instanceof QemuImgError) || !/O_DIRECT|Invalid argument/.test(error.stderr)) throw error;
    return work(false);
  }
}

/** While nothing else begins on the domain. @throws Refusal as `beginAlone` does */
async function define(
  context: Context,
  preflight: RestorePreflight,
  options: RestoreOptions,
): Promise<string> {
  const once = () => defineAlone(context, preflight, options);
  const what = { domain: preflight.plan, disks: 'all' } as const;
  const uuid = await beginAlone(context, what, options.signal, { once, isRecorded: () => true });
  if (uuid === undefined) throw new Error('it is defined by then');
  return uuid;
}

/** One call of libvirt: before it the old definition counts, after it the new one, whose images are complete. */
async function defineAlone(
  context: Context,
  preflight: RestorePreflight,
  options: RestoreOptions,
): Promise<string> {
  const { plan, chain } = preflight;
  const connection = await context.link.connection();
  const present = await readDefinitions(connection, plan.uuid);
  // Somebody may have started it meanwhile.
  if (present !== undefined) await mustBeIdle(context, present);
  options.signal.throwIfAborted();
  const stored = await definitionOf(hostOf(context), plan.directory, chain[0]);
  const definition = definitionFor(plan, stored, asWritten(present?.config));
  const domain = await connection.defineDomainXml(definition.toString());
  options.afterStep?.('define');
  if (plan.tpm?.kind === 'replaced') {
    await placeTpm(context, plan, options.signal);
    options.afterStep?.('place-tpm');
  }
  // What they recorded is of the images that were left.
  for (const checkpoint of await checkpointsOf(domain)) {
    if (!isCheckpointOfOurs(checkpoint.name)) continue;
    const why = await deleted(checkpoint, DomainCheckpointDeleteFlags.METADATA_ONLY);
    if (why !== undefined) {
      options.report({ type: 'warning', code: 'checkpoint-stays', message: `${checkpoint.name}: ${why}` });
    }
  }
  return domain.uuid;
}

/** Removes what was made, unless the domain is defined on it. */
async function takeBack(context: Context, plan: RestorePlan): Promise<void> {
  const path = journalPathOf(plan);
  const journal = await readRestoreJournal(hostOf(context), path);
  if (journal?.plan.id === plan.id) await removeUnused(context, path, journal);
}
