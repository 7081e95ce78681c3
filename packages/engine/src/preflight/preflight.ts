// Everything that can be refused is refused here, before anything is touched; the rest becomes the move's record.
import { randomBytes } from 'node:crypto';
import { DomainXmlError, describeSource, diskElement } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, JobMode, MoveRecord } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import type { Context } from '../run/context.ts';
import { type Carried, foreseeSnapshots, imageMovesOf, whyNot } from '../snapshots/index.ts';
import { refAt, undeclaredIn } from '../storage/chain-refs.ts';
import { checkQuiesce, mustBeNewFile } from './copy-checks.ts';
import { mustCommitBack } from './copy-on-read.ts';
import { type Destination, resolveDestination } from './destination.ts';
import { checkDestination, takesLayers } from './destination-checks.ts';
import { withEncryption } from './encryption.ts';
import { labelWarnings, withLabels } from './labels.ts';
import {
  type Choice,
  cannotBeLayered,
  carrierXml,
  chooseStrategy,
  layeredPartOf,
  makesItsFiles,
  suitDestination,
} from './layered.ts';
import { asFileOfPool, becomesOneImage, cannotHoldLayers, holdsChain } from './one-image.ts';
import { checkOpenMoves } from './open-moves.ts';
import { optionsFor } from './rbd-destination.ts';
import type { MoveRequest } from './request.ts';
import { checkRoom } from './room.ts';
import { checkSecrets } from './secrets.ts';
import { gather, type Situation } from './situation.ts';
import { bytesToCopy } from './size.ts';
import { checkSource, mustNotBeSaved } from './source-checks.ts';
import { ignoredOptions, type Warning, warningsFor } from './warning.ts';

export interface Preflight {
  readonly move: MoveRecord;
  readonly warnings: readonly Warning[];
  /** Why this strategy. */
  readonly why: string;
  readonly bytes: Bytes;
  readonly capacity: Bytes;
  /** The disk's chain before, top first, for the plan. */
  readonly chain: readonly ImageRef[];
  /** Off, a move goes without QEMU. */
  readonly running: boolean;
}

/** Block copy jobs of persistent domains need a flag that libvirt has since 3.5.0. */
const TRANSIENT_JOB_SINCE = 3_005_000n;
const SYNCHRONOUS_WRITES_SINCE = 8_000_000n;

/** @throws Refusal, with nothing touched */
export async function preflight(context: Context, asked: MoveRequest): Promise<Preflight> {
  const connection = await context.link.connection();
  const situation = await gather(connection, context.host, asked);
  checkOpenMoves(situation, jobModeOf(situation, asked));
  checkOptions(asked, situation.libVersion);
  const bytes = bytesToCopy(situation, asked.scope);
  const first = chooseStrategy(situation, asked, bytes);
  checkRunning(situation, asked, first);
  checkScope(situation, asked, first);
  checkSource(situation, asked, first.strategy);
  // What is only copied stays where it is.
  await (asked.copy === undefined ? mustNotBeSaved(situation) : mustCommitBack(situation));
  const quiesce = await checkQuiesce(situation, asked.copy);
  const { choice, named, request } = await suited(situation, asked, first);
  checkScope(situation, request, choice, named);
  checkSynchronous(situation, request, choice);
  checkOverlayAsked(request, choice);
  if (choice !== first) checkRunning(situation, request, choice);
  if (choice !== first || request !== asked) checkSource(situation, request, choice.strategy);
  const resolved = withLabels(situation, request, withEncryption(situation, request, named));
  destinationXml(situation, request, resolved); // what XML cannot write is refused before anything is tried
  const destination = await checkDestination(situation, request, resolved, choice.strategy);
  const move = await recordOf(situation, request, destination, choice.strategy);
  const { host } = situation;
  const room = host && move.layered ? await checkRoom(situation, host, move.layered) : [];
  await checkSecrets(connection, host, move, chainOf(situation));
  const { domain } = situation.definitions;
  const snapshots =
    move.copy === undefined
      ? await foreseeSnapshots({ connection, host: context.host, domain }, imageMovesOf(move))
      : [];
  return {
    move,
    warnings: [
      ...snapshotWarnings(snapshots),
      ...warningsFor(situation, move),
      ...ignoredOptions(request.options, move),
      ...(move.copy === undefined ? labelWarnings(situation, destination) : []),
      ...(destination.warnings ?? []),
      ...quiesce,
      ...room,
    ],
    bytes,
    why: choice.why,
    capacity: situation.capacity,
    chain: chainOf(situation),
    running: situation.definitions.running,
  };
}

interface Suited {
  readonly choice: Choice;
  readonly named: Destination;
  readonly request: MoveRequest;
}

/** The destination, and the strategy that suits it. @throws Refusal for layers that cannot go there */
async function suited(situation: Situation, asked: MoveRequest, first: Choice): Promise<Suited> {
  const found = await resolveDestination(situation, asked);
  if (asked.copy !== undefined) mustBeNewFile(found);
  const named = asFileOfPool(found);
  const suits = suitDestination(first, situation, asked, named);
  const choice = asked.strategy === 'auto' ? await asServed(suits, situation, named) : suits;
  if (choice.strategy === 'mirror') return { choice, named: found, request: asked };
  const unfit =
    makesItsFiles(asked) ?? cannotHoldLayers(situation, asked, named) ?? cannotBeLayered(situation, asked);
  if (unfit !== undefined) throw unfit;
  // Of a disk of one image too, only what the guest sees goes to where no file can be.
  return { choice, named, request: holdsChain(named) ? asked : { ...asked, scope: 'flatten' } };
}

/** A mirror needs one connection to it. */
async function asServed(choice: Choice, situation: Situation, destination: Destination): Promise<Choice> {
  const canBeMirrored = choice.strategy === 'layered' && situation.definitions.running;
  if (!canBeMirrored || (await takesLayers(situation, destination))) return choice;
  const name = describeSource(destination.image.source);
  return { strategy: 'mirror', why: `${name} takes one client at a time` };
}

/** QEMU's mirror needs a QEMU. Of a domain that is off, the layers are copied all the same. */
function checkRunning(situation: Situation, request: MoveRequest, { strategy, why }: Choice): void {
  const { definitions, live } = situation;
  if (definitions.running) return;
  const against = cannotBeLayered(situation, request);
  if (strategy === 'layered' && against === undefined) return;
  const running =
    request.strategy === 'mirror'
      ? 'strategy mirror moves the disks of running domains'
      : `it would be moved in layers, and ${why}`;
  // No start helps a copy, which is made in layers in any case.
  if (request.copy !== undefined && against !== undefined) throw against;
  const off = strategy === 'mirror' ? running : (against?.message ?? '');
  throw new Refusal(
    'domain-off',
    `${live.name} is not running: ${off}`,
    { domain: live.name },
    `start it first: virsh start ${quoteArgument(live.name)}`,
  );
}

/** A mirror makes one image, or shares what is below it: the shape of a chain is for the other strategy. */
function checkScope(
  { chain, disk, live }: Situation,
  { scope }: MoveRequest,
  { strategy }: Choice,
  destination?: Destination,
): void {
  const images = chain?.length ?? disk.chain.length;
  if (scope !== 'chain' || images <= 1) return;
  if (destination !== undefined && !holdsChain(destination)) {
    throw becomesOneImage(describeSource(destination.image.source), images, disk.target);
  }
  if (strategy === 'layered') return;
  throw new Refusal(
    'choose-scope',
    `${disk.target} of ${live.name} is a chain of ${images} images, whose shape a mirror cannot keep`,
    { images },
    'choose --shallow (move the active image, share the rest), --flatten (make one image of it all), or --strategy layered',
  );
}

/**
 * libvirt gives the target of a shallow copy its backing file only at the pivot (qemuDomainBlockJobPivot). Until then a
 * synchronous write that fills a cluster in part makes zeros of the rest, which hide the backing file's data: measured
 * as lost writes with QEMU 7.2.
 */
function checkSynchronous(situation: Situation, { options, scope }: MoveRequest, { strategy }: Choice): void {
  if (strategy === 'layered' || scope !== 'shallow' || situation.disk.chain.length <= 1) return;
  if (!options.synchronousWrites && !options.converge) return;
  throw new Refusal(
    'synchronous-shallow',
    'QEMU loses data of the shared chain when a shallow mirror writes synchronously',
    {},
    'use --strategy layered, whose last mirror is safe from it and always ends; or --flatten',
  );
}

/** A mirror has no overlay: whoever chose a place for it expects the guest's writes there. */
function checkOverlayAsked({ overlayDirectory }: MoveRequest, { strategy, why }: Choice): void {
  if (overlayDirectory === undefined || strategy === 'layered') return;
  throw new Refusal(
    'overlay-dir-not-layered',
    `--overlay-dir is for strategy layered, and this move is a mirror (${why})`,
    {},
    'use --strategy layered, or leave --overlay-dir out',
  );
}

function checkOptions({ options }: MoveRequest, libVersion: bigint): void {
  const { granularity, synchronousWrites, converge } = options;
  // From 512 bytes to 64 MiB (mirror_start_job and drive-mirror of QEMU).
  const isPower = granularity !== undefined && Number.isInteger(Math.log2(granularity));
  if (granularity !== undefined && !(isPower && granularity >= 512 && granularity <= 64 << 20)) {
    throw new Refusal(
      'bad-granularity',
      `--granularity ${granularity} is not a power of two of at least 512, and at most 64 MiB`,
    );
  }
  if ((synchronousWrites || converge) && libVersion < SYNCHRONOUS_WRITES_SINCE) {
    throw new Refusal('libvirt-too-old', 'synchronous writes need libvirt 8.0 on the host');
  }
}

async function recordOf(
  situation: Situation,
  request: MoveRequest,
  destination: Destination,
  strategy: MoveRecord['strategy'],
): Promise<MoveRecord> {
  const { disk, live, definitions } = situation;
  const top = disk.chain[0];
  if (top === undefined) throw new Refusal('not-a-disk', `${disk.target} has no image`);
  const jobMode = jobModeOf(situation, request);
  if (jobMode === 'undefine') await checkUndefine(situation);
  const chain = chainOf(situation);
  const id = randomBytes(4).toString('hex');
  const undeclared = undeclaredIn(situation, situation.chain);
  const layered =
    strategy === 'layered' ? await layeredPartOf(situation, request, destination, id) : undefined;
  return {
    version: 1,
    id,
    domain: { name: live.name, uuid: definitions.domain.uuid },
    disk: disk.target,
    strategy,
    ...(situation.host && { tools: true }),
    ...(layered && { layered }),
    // A mirror of a chain of one image is what it would be flattened to.
    scope: strategy === 'mirror' && request.scope === 'chain' ? 'flatten' : request.scope,
    origin: { source: top.source, format: top.format ?? 'raw' },
    destination: destination.image,
    ownership: destination.ownership,
    sources: request.scope === 'shallow' ? chain.slice(0, 1) : chain,
    ...(undeclared.length > 0 && { undeclared }),
    jobMode,
    options: optionsFor(request, destination),
    destinationXml: layered
      ? carrierXml(situation, request, layered)
      : destinationXml(situation, request, destination),
    ...(request.copy !== undefined && { copy: { quiesce: request.copy.quiesce } }),
    phase: layered ? 'freezing' : 'copying',
    goal: request.copy !== undefined ? 'copy' : request.hold ? 'hold' : 'pivot',
  };
}

function jobModeOf({ definitions, libVersion }: Situation, request: MoveRequest): JobMode {
  if (!definitions.persistent) return 'plain';
  return request.undefine || libVersion < TRANSIENT_JOB_SINCE ? 'undefine' : 'transient-job';
}

/** Undefining drops what hangs on the definition and would not come back with it. */
async function checkUndefine({ definitions, live, checkpoints }: Situation): Promise<void> {
  const snapshots = (await definitions.domain.listAllSnapshots()).length;
  if (snapshots === 0 && checkpoints === 0) return;
  throw new Refusal(
    'undefine-loses-snapshots',
    `${live.name} must be made transient for the copy, and its ${snapshots} snapshot(s) and ${checkpoints} checkpoint(s) would be forgotten`,
    {},
    'a host with libvirt 3.5 or later needs no such thing',
  );
}

function destinationXml({ disk }: Situation, request: MoveRequest, { image }: Destination): string {
  if (request.destinationXml !== undefined) return request.destinationXml;
  const { metadataCache } = disk.driver;
  // libvirt takes it for qcow2 only, and forgets it unless it is told again.
  const keepsCache = image.format === 'qcow2' && metadataCache !== undefined;
  try {
    return diskElement(image.source, image.format, keepsCache ? { metadataCache } : {});
  } catch (error) {
    if (!(error instanceof DomainXmlError)) throw error;
    throw new Refusal('bad-destination', error.message, {}, undefined, { cause: error });
  }
}

function chainOf({ chain, disk }: Situation): ImageRef[] {
  if (chain !== undefined) return chain.map((each, depth) => refAt({ disk }, each, depth));
  return disk.chain.map(({ source, format }) => ({ source, format: format ?? 'raw' }));
}

/** Those that come along are no news. */
function snapshotWarnings(snapshots: readonly Carried[]): Warning[] {
  const words = snapshots.map(whyNot).filter((each) => each !== undefined);
  return words.map((message) => ({ code: 'snapshot-stays', message }));
}
