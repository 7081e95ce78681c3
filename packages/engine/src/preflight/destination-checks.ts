// What about the destination speaks against a move. Nothing is touched.
import { dirname } from 'node:path';
import { describeSource } from '@blockferry/libvirt';
import { type Host, probeDestination, readChain, sameLocation } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import { usesOf } from '../observe/usage.ts';
import { journalPathFor } from '../record/journal.ts';
import { toImage, toLocation } from '../storage/to-image.ts';
import { ANSWER_WITHIN_MS, type Destination } from './destination.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';
import { bytesToCopy } from './size.ts';

/** @throws the first Refusal */
export async function checkDestination(
  situation: Situation,
  request: MoveRequest,
  destination: Destination,
): Promise<void> {
  const name = describeSource(destination.image.source);
  checkKind(destination, name);
  checkUse(situation, destination, name);
  checkFormat(situation, request, destination, name);
  const { host } = situation;
  if (host === undefined) return;
  await checkFile(host, destination, name);
  await checkReach(host, situation, destination);
  if (destination.ownership.kind === 'reused') await checkReused(host, situation, request, destination, name);
  else await checkSpace(host, situation, request, destination);
}

/** libvirt unlinks a character device and hangs on a FIFO. */
function checkKind({ stat, image }: Destination, name: string): void {
  if (stat === null || stat === undefined) return;
  if (stat.type === 'file' && image.source.kind !== 'block') return;
  if (stat.type === 'block' && image.source.kind === 'block') return;
  if (stat.type === 'block')
    throw new Refusal(
      'not-a-file',
      `${name} is a block device, given as a file`,
      {},
      "use <source dev='…'/> with type='block'",
    );
  throw new Refusal('not-a-file', `${name} is a ${stat.type}, which no disk can be moved to`);
}

function checkUse({ usage, live, disk }: Situation, { image }: Destination, name: string): void {
  const own = disk.chain.some((entry) => sameLocation(toLocation(entry.source), toLocation(image.source)));
  if (own) throw new Refusal('destination-is-source', `${name} is an image of the disk itself`);
  const use = usesOf(usage, image.source)[0];
  if (use === undefined) return;
  throw new Refusal(
    'destination-in-use',
    `${name} is used by ${use.domain === live.name ? 'this domain' : use.domain} for ${use.disk} (${use.definition} definition)`,
    { domain: use.domain, disk: use.disk },
    'choose another destination',
  );
}

function checkFormat(
  situation: Situation,
  { scope }: MoveRequest,
  { image }: Destination,
  name: string,
): void {
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
  if (image.format === 'raw' && situation.checkpoints > 0) {
    throw new Refusal(
      'checkpoints-lost',
      `${situation.live.name} has ${situation.checkpoints} checkpoint(s), whose bitmaps a raw image cannot hold`,
      {},
      'use --format qcow2, or delete the checkpoints: virsh checkpoint-delete',
    );
  }
}

async function checkFile(host: Host, { image, ownership, stat }: Destination, name: string): Promise<void> {
  if (image.source.kind !== 'file') return;
  const { path } = image.source;
  if (ownership.kind !== 'volume' && (await host.stat(journalPathFor(path))) !== null) {
    throw new Refusal(
      'unfinished-move',
      `an unfinished move to ${name} left its journal there`,
      { journal: journalPathFor(path) },
      `continue it with blockferry resume, or clear it: blockferry cleanup ${path}`,
    );
  }
  if (ownership.kind === 'created' && stat) {
    throw new Refusal(
      'destination-exists',
      `${name} exists`,
      {},
      'choose another name, or give --reuse-external to use it as it is',
    );
  }
  if (ownership.kind === 'reused' && stat === null) {
    throw new Refusal('destination-missing', `${name} does not exist, so there is nothing to reuse`);
  }
  if (stat === null && (await host.stat(path, { followSymlinks: false })) !== null) {
    throw new Refusal('destination-exists', `${name} is a symbolic link that leads nowhere`);
  }
}

/** QEMU runs as a user of its own, who must be able to get to the file; libvirt changes the owner of the file only. */
async function checkReach(host: Host, { live }: Situation, { image }: Destination): Promise<void> {
  if (image.source.kind !== 'file') return;
  const owner = /<seclabel[^>]*model='dac'[^>]*>\s*<label>\+?(\d+):\+?(\d+)<\/label>/.exec(live.toString());
  const [uid, gid] = [Number(owner?.[1] ?? 0), Number(owner?.[2] ?? 0)];
  if (uid === 0) return;
  for (let path = dirname(image.source.path); ; path = dirname(path)) {
    const stat = await host.stat(path);
    if (stat === null) return;
    const needed = stat.uid === uid ? 0o100 : stat.gid === gid ? 0o010 : 0o001;
    if ((stat.mode & needed) === 0) {
      throw new Refusal(
        'destination-unreachable',
        `QEMU (uid ${uid}) may not enter ${path}`,
        { path, uid, gid },
        `let it through: chmod o+x ${path}`,
      );
    }
    if (path === '/') return;
  }
}

/** An image that is to be reused must be what the copy expects: size, format, and for shallow its backing chain. */
async function checkReused(
  host: Host,
  situation: Situation,
  { scope }: MoveRequest,
  { image }: Destination,
  name: string,
): Promise<void> {
  const probe = await probeDestination(host, toImage(image), ANSWER_WITHIN_MS);
  if (probe.kind === 'hang')
    throw new Refusal(
      'destination-silent',
      `${name} does not answer: ${probe.detail}`,
      {},
      'bring it back first',
    );
  if (probe.kind === 'error')
    throw new Refusal(
      'destination-unusable',
      probe.detail,
      {},
      `is it a ${image.format} image, and is its server running?`,
    );
  const { capacity } = situation;
  const larger = image.format === 'raw' && image.source.kind === 'block' && probe.virtualSize > capacity;
  const rounded =
    image.format === 'raw' && image.source.kind !== 'file' && probe.virtualSize - capacity < 512n;
  if (probe.virtualSize !== capacity && !larger && !(rounded && probe.virtualSize > capacity)) {
    throw new Refusal(
      'size-differs',
      `${name} has ${probe.virtualSize} bytes, the disk has ${capacity}: a mirror needs them equal`,
      { have: probe.virtualSize, need: capacity },
      image.format === 'raw'
        ? 'grow or recreate it to exactly that size'
        : `qemu-img resize it to ${capacity}`,
    );
  }
  if (image.format === 'raw') return;
  await checkReusedBacking(host, situation, scope, image, name);
}

/** libvirt takes an image without the right backing file, reports success, and the base's data reads as zeros. */
async function checkReusedBacking(
  host: Host,
  { chain }: Situation,
  scope: MoveRequest['scope'],
  image: Destination['image'],
  name: string,
): Promise<void> {
  const have = await readChain(host, toImage(image)).catch((error: unknown) => {
    throw new Refusal(
      'destination-chain',
      `the chain of ${name} cannot be read: ${messageOf(error)}`,
      {},
      undefined,
      { cause: error },
    );
  });
  const expected = scope === 'shallow' ? chain?.[1]?.image.location : undefined;
  const actual = have[1]?.image.location;
  const agree =
    expected === undefined ? actual === undefined : actual !== undefined && sameLocation(actual, expected);
  if (agree) return;
  const want = expected === undefined ? 'no backing file' : `the backing file ${describeLocation(expected)}`;
  throw new Refusal(
    'backing-differs',
    `${name} must have ${want}, and has ${actual === undefined ? 'none' : describeLocation(actual)}: data would read as zeros or as another disk's`,
    {},
    'correct it with qemu-img rebase -u, or leave --reuse-external out',
  );
}

function describeLocation(location: ReturnType<typeof toLocation>): string {
  return 'path' in location ? location.path : location.kind;
}

async function checkSpace(
  host: Host,
  situation: Situation,
  { scope }: MoveRequest,
  { image }: Destination,
): Promise<void> {
  if (image.source.kind !== 'file') return;
  const need = bytesToCopy(situation, scope);
  const { available } = await host.statfs(dirname(image.source.path));
  if (need <= available) return;
  throw new Refusal(
    'destination-too-small',
    `the copy needs ${need} bytes, and ${dirname(image.source.path)} has ${available} free`,
    { need, have: available },
    'make room there, or choose another destination',
  );
}
