// What preflight says although it refuses nothing.
import { describeSource } from '@blockferry/libvirt';
import type { CopyOptions, MoveRecord } from '../model/record.ts';
import { formatBytes } from '../model/sizes.ts';
import { sideOf } from '../observe/definitions.ts';
import { allocatesAll, isEncrypted } from './encryption.ts';
import type { Situation } from './situation.ts';

export interface Warning {
  readonly code: string;
  readonly message: string;
}

/** What may surprise the operator of this move. Pure. */
export function warningsFor(situation: Situation, move: MoveRecord): Warning[] {
  const { chain, definitions, disk } = situation;
  const warnings: Warning[] = [];
  const allocation = allocationWarning(situation, move);
  const say = (code: string, message: string) => warnings.push({ code, message });
  for (const { source } of move.layered?.shared ?? []) {
    say('shared-base', `${describeSource(source)} was copied and verified before: it is linked to`);
  }
  if (move.layered !== undefined && move.ownership.kind === 'reused') {
    say(
      'destination-overwritten',
      `${describeSource(move.destination.source)} is overwritten; should the move go back, it stays as it is then, and what it holds is no disk`,
    );
  }
  // The mirror's target takes the place of QEMU's filter (see copy-on-read.ts); libvirt goes on saying that it copies.
  if (definitions.running && move.strategy === 'mirror' && disk.driver.copyOnRead === 'on') {
    say(
      'copy-on-read-ends',
      `${move.disk} has copy_on_read: once the mirror has moved it, QEMU copies nothing on reading until the domain is started again`,
    );
  }
  if (move.scope === 'shallow' && chain?.[0]?.backing?.relative) {
    say(
      'backing-becomes-absolute',
      'the source names its backing file relative to itself; the copy will name it absolutely',
    );
  }
  if (situation.host === undefined) {
    say(
      'no-host',
      'this connection gives no way to run tools on the host: chains, free space and the destination could not be checked',
    );
  }
  if (situation.host === undefined && move.ownership.kind === 'created') {
    say(
      'copy-not-removable',
      'if the move goes back, the unfinished copy stays: it must be removed by hand. A volume (pool:NAME) would be removed through libvirt',
    );
  }
  if (definitions.persistent && sideOf(definitions.config, move) !== 'origin') {
    say(
      'definition-differs',
      `the persistent definition does not name the disk's current image for ${disk.target}; it is left as it is`,
    );
  }
  if (allocation !== undefined) say(allocation.code, allocation.message);
  if (isEncrypted(move.destination)) {
    const remedy =
      move.layered === undefined
        ? '; one made beforehand with a smaller iter-time, and --reuse-external, shortens that'
        : '';
    say(
      'luks-pause',
      `the guest waits while QEMU derives the key of ${move.layered === undefined ? 'the encrypted copy' : 'each image in LUKS that it opens (the overlay, the carrier, the copies)'}, which takes 2 s of CPU time as images are made by default${remedy}`,
    );
  }
  if (move.destination.format === 'raw' && chain?.some(({ bitmaps }) => bitmaps.length > 0)) {
    say('bitmaps-lost', 'persistent bitmaps of the chain are lost in a raw image');
  }
  return warnings;
}

/** What was asked of a mirror, and is nothing to a copy outside of QEMU. Pure. */
export function ignoredOptions(
  { granularity, bufSize }: Pick<CopyOptions, 'granularity' | 'bufSize'>,
  { strategy }: Pick<MoveRecord, 'strategy'>,
): Warning[] {
  if (strategy !== 'layered') return [];
  const given = [
    ...(granularity === undefined ? [] : ['--granularity']),
    ...(bufSize === undefined ? [] : ['--buf-size']),
  ];
  if (given.length === 0) return [];
  const message = `${given.join(' and ')} ${given.length === 1 ? 'is' : 'are'} for strategy mirror: layers are copied outside of QEMU, without`;
  return [{ code: 'option-ignored', message }];
}

/** Why the copy will take more of its storage than the data needs. */
function allocationWarning(situation: Situation, move: MoveRecord): Warning | undefined {
  const { capacity } = situation;
  const { format } = move.destination;
  if (allocatesAll(move.destination) && format !== 'raw') {
    const message = `QEMU writes the zeros of an image in ${format}: it is allocated in full, ${formatBytes(capacity)}. In qcow2 or raw it stays sparse`;
    return { code: 'fully-allocated', message };
  }
  if (allocatesAll(move.destination)) {
    // A copy byte for byte keeps its format.
    const remedy = move.layered === undefined ? '. With --format qcow2 it stays sparse' : '';
    const message = `a raw image in LUKS is allocated in full: ${formatBytes(capacity)}${remedy}`;
    return { code: 'fully-allocated', message };
  }
  if (!hasDeviceWithoutHoles(situation, move)) return undefined;
  const message = `a block device does not tell where it holds nothing: all of it is copied, and allocated at the destination (${formatBytes(capacity)}). With discard='unmap' on the disk, fstrim in the guest gives it back`;
  return { code: 'no-holes', message };
}

/** A raw image on a device, in scope, shows data wherever the images above it hold nothing. */
function hasDeviceWithoutHoles({ disk }: Situation, { scope, destination }: MoveRecord): boolean {
  if (destination.source.kind === 'block') return false;
  const images = scope === 'shallow' ? disk.chain.slice(0, 1) : disk.chain;
  return images.some(({ source, format }) => source.kind === 'block' && (format ?? 'raw') === 'raw');
}
