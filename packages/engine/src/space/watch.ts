// Watches the room that the guest's writes have while it is on an image of the move, and has a guest that was stopped for
// want of it go on when there is some.
import { dirname } from 'node:path';
import { type Domain, DomainPausedReason } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { imageAt } from '../layered/image-at.ts';
import type { KnownPlace, Place } from '../model/layered-world.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Bytes, Millis } from '../model/units.ts';
import { floorOf } from './floor.ts';
import { judgeSpace, RATE_OVER_MS, type SpaceSample, type SpaceState } from './judge.ts';
import { lowWords, resumedWords, shortWords, stoppedWords } from './words.ts';

const LOOK_EVERY_MS: Millis = 2_000;
const ANSWER_WITHIN_MS: Millis = 3_000;
/** Room that is scarce by the guest's writes of some seconds, and then is not, will be again. */
const LASTS_MS: Millis = 60_000;
/** A part of the floor is enough for a stopped guest to go on: whoever makes room for it should not have to guess how much. */
const RESUME_SHARE = 8n;

/** What of a host and of a domain the watch needs. */
type Files = Pick<Host, 'stat' | 'statfs'>;
type StoppableDomain = Pick<Domain, 'getState' | 'diskErrors' | 'resume'>;

export interface Watched {
  readonly move: MoveRecord;
  /** Where the guest is. */
  readonly place: Place;
  readonly domain: StoppableDomain;
  /** Copied so far, and how long the rest takes; undefined: nothing is being copied, or that is unknown. */
  readonly copied: Bytes | undefined;
  readonly etaMs: Millis | undefined;
}

export class SpaceWatch {
  readonly #host: Files;
  readonly #warn: (code: string, message: string) => void;
  readonly #onScarce: (scarce: boolean) => void;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Asked once: the destination may hang later, and the overlays all stand in one directory. */
  #shared: boolean | undefined;
  #samples: readonly SpaceSample[] = [];
  /** How long room that was scarce counts as such. */
  #until: Readonly<Record<'short' | 'low', Millis>> = {
    short: Number.NEGATIVE_INFINITY,
    low: Number.NEGATIVE_INFINITY,
  };
  /** The image on which the guest was seen to be stopped for want of room. */
  #stoppedOn: KnownPlace | undefined;

  /** @param onScarce is told at each look whether the overlay's room is scarce */
  constructor(
    host: Files,
    warn: (code: string, message: string) => void,
    onScarce: (scarce: boolean) => void,
  ) {
    this.#host = host;
    this.#warn = warn;
    this.#onScarce = onScarce;
  }

  /** Looks now and then, however often it is called. Storage or a daemon that does not answer is for others to notice. */
  async look(watched: Watched): Promise<void> {
    if (performance.now() - this.#lookedAtMs < LOOK_EVERY_MS) return;
    await this.lookNow(watched);
  }

  /** The same at once: before a move is left to itself. */
  async lookNow({ place, ...watched }: Watched): Promise<void> {
    this.#lookedAtMs = performance.now();
    if (place === 'elsewhere' || place === 'none') return;
    try {
      await this.#look(place, watched);
    } catch {
      // Tried again at the next look.
    }
  }

  async #look(place: KnownPlace, watched: Omit<Watched, 'place'>): Promise<void> {
    const { source } = imageAt(watched.move, place);
    if (source.kind !== 'file') return;
    const directory = dirname(source.path);
    const { available, total } = await this.#host.statfs(directory, { timeoutMs: ANSWER_WITHIN_MS });
    if (total === 0n) return;
    const floor = floorOf(total);
    if (place === 'overlay') await this.#judge(directory, available, floor, watched);
    await this.#seeToGuest(directory, available >= floor / RESUME_SHARE, place, watched);
  }

  async #judge(
    directory: string,
    available: Bytes,
    floor: Bytes,
    { move, copied = 0n, etaMs }: Omit<Watched, 'place'>,
  ): Promise<void> {
    const atMs = performance.now();
    this.#shared ??= await this.#sharesStorage(directory, move).catch(() => false);
    const shared = this.#shared;
    const samples = [...this.#samples, { atMs, available, copied: shared ? copied : 0n }];
    this.#samples = samples.filter((sample) => atMs - sample.atMs <= RATE_OVER_MS);
    const state = judgeSpace(this.#samples, floor, etaMs);
    const isNews = this.#isNews(state.kind, atMs);
    this.#onScarce(atMs < Math.max(this.#until.short, this.#until.low));
    if (!isNews) return;
    if (state.kind === 'low') this.#warn('overlay-low', lowWords(move, directory, available));
    if (state.kind !== 'short') return;
    const { lastsMs } = state;
    this.#warn('overlay-short', shortWords(move, directory, available, { lastsMs, neededMs: etaMs }));
  }

  /** What ended a moment ago and is back has not been over: it is said once. */
  #isNews(kind: SpaceState['kind'], atMs: Millis): boolean {
    if (kind === 'enough') return false;
    const isNews = atMs >= this.#until[kind] && atMs >= this.#until.low;
    this.#until = { ...this.#until, [kind]: atMs + LASTS_MS };
    return isNews;
  }

  async #sharesStorage(directory: string, { destination: { source } }: MoveRecord): Promise<boolean> {
    if (source.kind !== 'file') return false;
    const limits = { timeoutMs: ANSWER_WITHIN_MS };
    const stats = await Promise.all(
      [directory, dirname(source.path)].map((path) => this.#host.stat(path, limits)),
    );
    return stats[0]?.device === stats[1]?.device;
  }

  /**
   * QEMU stops a guest whose write finds no room (werror=enospc, its default and libvirt's), and does that write again when
   * it is resumed: once there is room, and once it is on another image, where that write may need none. Only a guest that
   * was stopped for this disk is, never one that its operator paused.
   */
  async #seeToGuest(
    directory: string,
    hasRoom: boolean,
    place: KnownPlace,
    { domain, move }: Omit<Watched, 'place'>,
  ): Promise<void> {
    const { state, reason } = await domain.getState();
    const stopped = state === 'paused' && reason === DomainPausedReason.IOERROR;
    const before = this.#stoppedOn;
    this.#stoppedOn = stopped && (await isFull(domain, move.disk)) ? place : undefined;
    if (this.#stoppedOn === undefined) return;
    const hasMoved = before !== undefined && before !== place;
    if (!hasRoom && !hasMoved) {
      if (before === undefined) this.#warn('guest-stopped', stoppedWords(directory));
      return;
    }
    await domain.resume();
    this.#warn('guest-resumed', resumedWords(directory, hasRoom));
  }
}

async function isFull(domain: StoppableDomain, disk: string): Promise<boolean> {
  return (await domain.diskErrors()).some((each) => each.disk === disk && each.error === 'noSpace');
}
