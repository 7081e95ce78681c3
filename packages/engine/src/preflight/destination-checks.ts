// What about the destination speaks against a move. Nothing is touched: what must write to find out comes last.
import { dirname } from 'node:path';
import { describeSource } from '@blockferry/libvirt';
import { type Host, probeDestination, quoteArgument, takesTwoClients } from '@blockferry/qemu';
import { DEFAULT_WINDOW_BYTES } from '../layers/index.ts';
import { Refusal } from '../model/errors.ts';
import { LONGEST_NAME, nameLength } from '../model/file-names.ts';
import type { MoveRecord } from '../model/record.ts';
import { formatBytes } from '../model/sizes.ts';
import { fileKeyOf, pathOf } from '../observe/file-key.ts';
import { readLoops } from '../observe/loop-devices.ts';
import { readClusters } from '../observe/rbd-identity.ts';
import { type Usage, type Use, usesOf } from '../observe/usage.ts';
import { journalPathFor } from '../record/journal.ts';
import { toOpenableImage } from '../storage/tls-credentials.ts';
import { checkCopyFormat } from './copy-checks.ts';
import type { Destination } from './destination.ts';
import { allocatesAll, isEncrypted, LUKS_HEADER_BYTES } from './encryption.ts';
import { ANSWER_WITHIN_MS, answered, lookAt, mustKnowDirectIo, mustServe, silent } from './look.ts';
import { mustBeUnused } from './rbd-destination.ts';
import { mustBeReachable } from './reach.ts';
import type { MoveRequest } from './request.ts';
import { checkReused, mustNotBeBlind } from './reused-checks.ts';
import type { Situation } from './situation.ts';
import { bytesToCopy } from './size.ts';
import { dataOn, mustBeIdle } from './system-use.ts';
import type { Warning } from './warning.ts';

/**
 * @returns the destination, with the slice that a larger block device needs
 * @throws the first Refusal
 */
export async function checkDestination(
  situation: Situation,
  request: MoveRequest,
  destination: Destination,
  strategy: MoveRecord['strategy'],
): Promise<Destination> {
  const name = describeSource(destination.image.source);
  checkKind(destination, name);
  const usage = await usageFor(situation, destination);
  checkUse(situation, usage, destination, name);
  checkFormat(situation, request, destination, name);
  const { host } = situation;
  if (host === undefined) {
    mustNotBeBlind(situation, request, destination, name);
    return destination;
  }
  await checkFile(host, destination, name, request);
  // QEMU never opens a copy.
  if (request.copy === undefined) await mustBeReachable(host, situation.live, destination.image.source);
  if (destination.ownership.kind !== 'reused') {
    // That of layers depends on which of them are there already; see room.ts.
    if (strategy === 'mirror') await checkSpace(host, situation, request, destination);
    if (request.copy !== undefined) await mustServe(host, name);
    else await checkAnswers(host, situation, destination, name);
    return destination;
  }
  const { source } = destination.image;
  if (source.kind === 'block') await mustBeIdle(host, source.path, usage);
  const warnings = (await mustBeUnused(host, source)) ? [] : [useUnknown(name)];
  // What was made in LUKS for it is no surprise.
  if (source.kind === 'block' && !isEncrypted(destination.image)) {
    warnings.push(...(await dataOn(host, source.path)));
  }
  const fitting = await checkReused(host, situation, request, destination, name);
  await checkAnswers(host, situation, destination, name);
  if (strategy === 'layered' && !(await takesLayers(situation, destination))) throw oneClient(name);
  return { ...fitting, warnings };
}

function useUnknown(name: string): Warning {
  const message = `the host has no rbd program, so nobody can tell whether another has ${name} open`;
  return { code: 'use-unknown', message };
}

/** libvirt unlinks a character device, hangs on a FIFO, and its `file` driver refuses block devices. */
function checkKind({ stat, image }: Destination, name: string): void {
  if (stat === null || stat === undefined) return;
  const asBlock = image.source.kind === 'block';
  if (stat.type === 'file' && !asBlock) return;
  if (stat.type === 'block' && asBlock) return;
  if (stat.type === 'block') {
    const hint = "use <disk type='block'> with <source dev='…'/>";
    throw new Refusal('not-a-file', `${name} is a block device, given as a file`, {}, hint);
  }
  if (stat.type === 'file') {
    const hint = "use <disk type='file'> with <source file='…'/>";
    throw new Refusal('not-a-block-device', `${name} is a file, given as a block device`, {}, hint);
  }
  throw new Refusal('not-a-file', `${name} is a ${stat.type}, which no disk can be moved to`, {
    type: stat.type,
  });
}

/** Preflight began to read who uses what before it knew the destination: whose cluster is that, and whose loop device? */
async function usageFor({ usage, host }: Situation, { image, stat }: Destination): Promise<Usage> {
  if (host === undefined) return usage;
  const clusters = await readClusters(host, [image.source, ...usage.uses.map((use) => use.source)]);
  const loops = await readLoops(host, [...usage.files.values(), ...(stat ? [fileKeyOf(stat)] : [])]);
  return { ...usage, clusters, loops };
}

function checkUse({ live, disk }: Situation, usage: Usage, { image, stat }: Destination, name: string): void {
  const key = stat ? fileKeyOf(stat) : undefined;
  const uses = usesOf(usage, image.source, key);
  const isOwn = (use: Use) => use.uuid === live.uuid && use.disk === disk.target && use.definition === 'live';
  const own = uses.find(isOwn);
  if (own !== undefined) {
    throw new Refusal(
      'destination-is-source',
      `${name} is an image of the disk itself`,
      { image: describeSource(own.source) },
      'choose another destination',
    );
  }
  const [use] = uses;
  if (use === undefined) return;
  throw new Refusal(
    'destination-in-use',
    `${name} is used by ${use.uuid === live.uuid ? 'this domain' : use.domain} for ${use.disk} (${use.definition} definition)`,
    { domain: use.domain, disk: use.disk },
    'choose another destination',
  );
}

function checkFormat(
  situation: Situation,
  { scope, copy }: MoveRequest,
  { image }: Destination,
  name: string,
): void {
  if (copy !== undefined) {
    checkCopyFormat(image.format, scope, copy);
    return;
  }
  if (image.format !== 'raw' && image.format !== 'qcow2') {
    throw new Refusal(
      'unsupported-format',
      `${image.format} is no format that QEMU can run a mirror onto safely`,
      { format: image.format },
      'use --format qcow2 or --format raw',
    );
  }
  if (scope === 'shallow' && image.format === 'raw' && situation.disk.chain.length > 1) {
    throw new Refusal(
      'raw-has-no-backing',
      `${name} would be raw, which cannot share a backing chain`,
      {},
      'use --flatten, or --format qcow2',
    );
  }
  if (image.format === 'raw' && situation.recorded > 0) {
    throw new Refusal(
      'checkpoints-lost',
      `${situation.live.name} has ${situation.recorded} checkpoint(s) of ${situation.disk.target}, whose bitmaps a raw image cannot hold`,
      { checkpoints: situation.recorded },
      `use --format qcow2, or delete them: virsh checkpoint-delete ${quoteArgument(situation.live.name)} NAME; the next backup is then a full one`,
    );
  }
}

async function checkFile(
  host: Host,
  { image, ownership, stat }: Destination,
  name: string,
  { copy }: MoveRequest,
): Promise<void> {
  if (image.source.kind !== 'file') return;
  const { path } = image.source;
  if (ownership.kind === 'reused' && stat === null) {
    throw new Refusal('destination-missing', `${name} does not exist, so there is nothing to reuse`);
  }
  const journal = journalPathFor(path);
  if (nameLength(journal) > LONGEST_NAME) {
    throw new Refusal('bad-destination', `the name of ${name} is too long for the journal beside it`);
  }
  if (ownership.kind !== 'volume' && (await lookAt(host, journal)) !== null) {
    throw new Refusal(
      'unfinished-move',
      `an unfinished move to ${name} left its journal there`,
      { journal },
      `continue it with blockferry resume, or clear it: blockferry cleanup ${quoteArgument(path)}`,
    );
  }
  if (ownership.kind === 'created' && stat) {
    throw new Refusal(
      'destination-exists',
      `${name} exists`,
      { path },
      `choose another name${copy === undefined ? ', or give --reuse-external to use it as it is' : ''}`,
    );
  }
  if (stat !== null || (await host.stat(path, { followSymlinks: false })) === null) return;
  throw new Refusal('destination-exists', `${name} is a symbolic link that leads nowhere`, { path });
}

async function checkSpace(
  host: Host,
  situation: Situation,
  { scope }: MoveRequest,
  { image }: Destination,
): Promise<void> {
  if (image.source.kind !== 'file') return;
  const need = allocatesAll(image) ? situation.capacity + LUKS_HEADER_BYTES : bytesToCopy(situation, scope);
  const directory = dirname(image.source.path);
  const space = await answered(directory, host.statfs(directory, { timeoutMs: ANSWER_WITHIN_MS }));
  const { available, total } = space;
  // Some file systems do not tell (ramfs).
  if (need <= available || total === 0n) return;
  throw new Refusal(
    'destination-too-small',
    `the copy needs ${formatBytes(need)}, and ${directory} has ${formatBytes(available)} free`,
    { need, have: available },
    'make room there, or choose another destination',
  );
}

/** Does it not only show itself, but serve? */
async function checkAnswers(
  host: Host,
  { disk }: Situation,
  { image, ownership }: Destination,
  name: string,
): Promise<void> {
  const path = pathOf(image.source);
  const { cache } = disk.driver;
  // A device that libvirt has yet to make is not there to be asked.
  if (path !== undefined && !(ownership.kind === 'volume' && image.source.kind === 'block')) {
    await mustServe(host, path);
    const direct = cache === 'none' || cache === 'directsync';
    if (direct && image.source.kind === 'file') await mustKnowDirectIo(host, path, cache);
    return;
  }
  if (ownership.kind !== 'reused') return;
  const probe = await probeDestination(host, await toOpenableImage(host, image), ANSWER_WITHIN_MS);
  if (probe.kind === 'answers') return;
  if (probe.kind === 'hang') throw silent(name, probe.detail);
  throw new Refusal('destination-unusable', probe.detail, {}, 'does its server let QEMU write to it?');
}

/**
 * Does its server let as many in as layers need? Each window of a copy is opened, by a connection of its own, while the one
 * before is being written and read back. `qemu-nbd` takes one client unless it is told more.
 */
export async function takesLayers(
  { host, capacity }: Situation,
  { image }: Pick<Destination, 'image'>,
): Promise<boolean> {
  const { source } = image;
  const isNbd = source.kind === 'network' && source.protocol === 'nbd';
  if (host === undefined || !isNbd || capacity <= DEFAULT_WINDOW_BYTES) return true;
  return takesTwoClients(host, await toOpenableImage(host, image), ANSWER_WITHIN_MS);
}

function oneClient(name: string): Refusal {
  return new Refusal(
    'destination-unusable',
    `${name} takes one client at a time, and strategy layered needs several connections to it`,
    {},
    'have its server take more (qemu-nbd --shared=8), or use --strategy mirror',
  );
}
