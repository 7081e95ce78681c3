// Slows the guest's writes to a disk while its overlay is committed back, where the commit would never catch up with it: no
// commit writes synchronously (libvirt 9.0). Unlike a pause, a limit leaves the guest running whoever dies.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Domain, DomainAffectFlags } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { record } from '../../act/record.ts';
import { definitionsOf } from '../../act/scene-domain.ts';
import { messageOf } from '../../model/errors.ts';
import type { Brake, MoveRecord } from '../../model/record.ts';
import type { Millis } from '../../model/units.ts';
import type { LayeredScene } from './layered-scene.ts';

const HEARD_FOR_MS: Millis = 1_000;
/** libvirt takes these three together: what is not named of them is set to none (qemuDomainSetBlockIoTuneDefaults). */
const LIMITS = ['total_iops_sec', 'read_iops_sec', 'write_iops_sec'] as const;

/**
 * Lets the guest write a quarter of what it did, by requests a second (virDomainSetBlockIoTune, live only: it ends with QEMU). The limits
 * that the disk had are on record before. May be repeated after a crash: each time is harder by as much.
 */
export async function brakeGuest(scene: LayeredScene): Promise<void> {
  const { move, memory, warn } = scene;
  const { domain } = definitionsOf(scene);
  const brake = move.brake ?? (await released(domain, move.disk));
  const harder = { ...brake, level: brake.level + 1 };
  await record({ ...scene, move: { ...move, brake: harder } });
  const limit = limitOf(harder);
  warn(
    'guest-slowed',
    `the guest writes to ${move.disk} as fast as its overlay is committed back: it is let write ${limit} times a second until it is on its image`,
  );
  await domain.setBlockIoTune(move.disk, limits(brake.before, limit), DomainAffectFlags.LIVE);
  memory.diverging = false;
}

/** Gives the disk its limits again, and takes the brake out of the record. May be repeated. */
export async function releaseGuest(scene: LayeredScene): Promise<void> {
  const { disk, domain, brake } = scene.observation.stored ?? scene.move;
  if (brake !== undefined) {
    try {
      const before = limits(brake.before, undefined);
      await definitionsOf(scene).domain.setBlockIoTune(disk, before, DomainAffectFlags.LIVE);
    } catch (error) {
      const hint = `virsh blkdeviotune ${quoteArgument(domain.name)} ${disk} --live --write-iops-sec 0`;
      scene.warn(
        'guest-slowed',
        `the limit of its writes could not be lifted (${messageOf(error)}): ${hint}`,
      );
    }
  }
  await record(scene);
}

/** The record as this step leaves it. Pure. */
export function releaseRecorded(move: MoveRecord): MoveRecord {
  const { brake: _, ...rest } = move;
  return rest;
}

async function released(domain: Domain, disk: string): Promise<Brake> {
  const tune = await domain.getBlockIoTune(disk, DomainAffectFlags.LIVE);
  const before = LIMITS.flatMap((name) => (typeof tune[name] === 'bigint' ? [[name, tune[name]]] : []));
  const writes = async () => (await domain.blockStats(disk)).wr_operations;
  const first = await writes();
  await sleep(HEARD_FOR_MS);
  const last = await writes();
  const heard = typeof first === 'bigint' && typeof last === 'bigint' ? last - first : 0n;
  return { level: 0, rate: (heard * 1000n) / BigInt(HEARD_FOR_MS), before: Object.fromEntries(before) };
}

function limitOf({ rate, level }: Brake): bigint {
  const limit = rate >> BigInt(2 * level);
  return limit > 0n ? limit : 1n;
}

/** A limit of all requests and one of writes exclude each other: the disk keeps the kind that it has. */
function limits(before: Brake['before'], writes: bigint | undefined): Record<string, bigint> {
  const { total_iops_sec: total = 0n, read_iops_sec: read = 0n, write_iops_sec: own = 0n } = before;
  if (total > 0n) return { total_iops_sec: least(total, writes) };
  return {
    ...(read > 0n && { read_iops_sec: read }),
    write_iops_sec: own > 0n ? least(own, writes) : (writes ?? 0n),
  };
}

function least(limit: bigint, other: bigint | undefined): bigint {
  return other === undefined || limit < other ? limit : other;
}
