// Reads a domain's two definitions and says, for one move, which image each of them names.
import {
  type Connection,
  type Domain,
  type DomainXml,
  DomainXmlFlags,
  ErrorCode,
  isLibvirtError,
  sameSource,
} from '@blockferry/libvirt';
import type { MoveRecord } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import type { Job, JobState, Side } from '../model/world.ts';
import { readDefinition } from './volumes.ts';

/** What libvirt says of a domain now. */
export interface Definitions {
  readonly domain: Domain;
  readonly running: boolean;
  readonly paused: boolean;
  readonly persistent: boolean;
  readonly live: DomainXml | undefined;
  readonly config: DomainXml | undefined;
}

/** Both definitions of a domain, in one round trip after the look-up; undefined when there is no such domain. */
export async function readDefinitions(
  connection: Connection,
  uuid: string,
): Promise<Definitions | undefined> {
  try {
    const domain = await connection.lookupDomainByUuid(uuid);
    const [active, persistent, state, live, config] = await Promise.all([
      domain.isActive(),
      domain.isPersistent(),
      domain.getState(),
      domain.getXmlDesc(0),
      domain.getXmlDesc(DomainXmlFlags.INACTIVE),
    ]);
    return {
      domain,
      running: active,
      paused: state.state === 'paused',
      persistent,
      live: active ? await readDefinition(connection, live) : undefined,
      config: persistent ? await readDefinition(connection, config) : undefined,
    };
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return undefined;
    throw error;
  }
}

/** Which of the move's images this definition gives the disk. */
export function sideOf(definition: DomainXml | undefined, move: MoveRecord): Side {
  const source = definition?.disk(move.disk)?.source;
  if (source === undefined) return 'none';
  if (sameSource(source, move.destination.source)) return 'destination';
  return sameSource(source, move.origin.source) ? 'origin' : 'elsewhere';
}

export interface JobInfo {
  readonly type: string;
  readonly cur: bigint;
  readonly end: bigint;
}

/** A mirror that is ready and this close keeps up: QEMU copies the rest in the pivot itself. */
const READY_REMAINING: Bytes = 16n * 1024n * 1024n;

/**
 * The block job on the move's disk. Ready needs both the live XML's `ready='yes'` and that next to nothing remains
 * to be copied: job info alone reaches 100 % too early (and shows 0 of 0 at the start).
 */
export function jobOf(live: DomainXml | undefined, info: JobInfo | null, move: MoveRecord): Job {
  const mirror = live?.disk(move.disk)?.mirror;
  if (mirror === undefined) {
    if (info === null) return { kind: 'none' };
    if (info.type !== 'copy') return { kind: 'foreign', what: info.type };
    return { kind: 'ours', state: 'unshown', cur: info.cur, end: info.end };
  }
  const ours = mirror.source !== undefined && sameSource(mirror.source, move.destination.source);
  if (!ours || mirror.job !== 'copy') return { kind: 'foreign', what: mirror.job };
  return { kind: 'ours', ...stateOf(mirror, info) };
}

/** How far the job that shows this mirror has come. */
export function stateOf(
  mirror: { readonly ready?: string | undefined },
  info: JobInfo | null,
): { readonly state: JobState; readonly cur: Bytes; readonly end: Bytes } {
  if (info === null) return { state: 'missing', cur: 0n, end: 0n };
  const { cur, end } = info;
  if (mirror.ready === 'pivot') return { state: 'pivoting', cur, end };
  if (mirror.ready === 'abort') return { state: 'aborting', cur, end };
  const ready = mirror.ready === 'yes' && end - cur <= READY_REMAINING;
  return { state: ready ? 'ready' : 'running', cur, end };
}
