// libvirt's migration of memory and overlays, driven from here call by call (protocol version 3), beside the loop.
import type { Connection, Domain, MigrationCookie } from '@blockferry/libvirt';
import { messageOf } from '../../model/errors.ts';
import { meansLookAgain } from '../../run/link.ts';
import { type Calls, callsOf } from '../calls.ts';
import { StepImpossible } from '../errors.ts';
import type { MigrationRecord } from '../record.ts';
import { journalPath, readJournal, wishPath, writeJournal, writeMetadata } from '../store.ts';
import type { MigrationScene } from './scene.ts';

/** Begins it, and returns as soon as it has begun. Its end rings the loop's bell. */
export function cross(scene: MigrationScene): void {
  const { memory } = scene;
  const ending = new AbortController();
  let state: 'running' | 'done' | { readonly failed: string } = 'running';
  memory.starts += 1;
  memory.overlaysFresh = false;
  const work = conduct(scene, ending.signal).then(
    () => {
      state = 'done';
    },
    (error: unknown) => {
      // A daemon that went away tells nothing: the next look does, and it is begun again.
      const again = meansLookAgain(error) && memory.starts < MAX_STARTS;
      state = again || ending.signal.aborted ? 'done' : { failed: messageOf(error) };
    },
  );
  void work.then(scene.ring);
  memory.crossing = {
    state: () => state,
    stop: async () => {
      if (state !== 'running') return;
      ending.abort();
      const home = await scene.pair.home.link.connection().catch(() => undefined);
      const domain = await home?.lookupDomainByUuid(scene.record.domain.uuid).catch(() => undefined);
      // Before its first piece of memory is sent there is no job to abort: then the signal is seen in time.
      await domain?.abortJob().catch(() => {});
      await work;
    },
  };
}

const MAX_STARTS = 3;

/**
 * Begin, prepare, perform, finish; then the record says that it is to run there, and it is told to; then confirm, which ends
 * what is left at home. libvirt is asked to leave it standing still there (PAUSED), so that it never runs before the record
 * says so: whoever dies in between, one look at both hosts and the record tells whose the next step is.
 *
 * @throws LibvirtError and others; then the migration was called off as far as that could be ordered
 */
async function conduct(scene: MigrationScene, signal: AbortSignal): Promise<void> {
  const calls = await callsOf(scene.pair, scene.record);
  const { domain, flags, params } = calls;
  const begun = await domain.migrateBegin3(params, flags);
  scene.passed('cross:begun');
  const given = { ...params, destination_xml: begun.xml };
  let cookie: MigrationCookie;
  try {
    signal.throwIfAborted();
    const prepared = await calls.away.migratePrepare3(given, begun.cookie, flags);
    scene.passed('cross:prepared');
    signal.throwIfAborted();
    const { uri } = prepared;
    const sending = { ...given, ...(uri !== null && { migrate_uri: uri }) };
    cookie = await domain.migratePerform3Phase(sending, prepared.cookie, flags);
    scene.passed('cross:performed');
    scene.memory.stoodStillAt = performance.now();
    await mustStillBeWanted(scene, signal);
  } catch (error) {
    await callOff(calls, 'prepared');
    throw error;
  }
  await arrive(scene, calls, cookie);
}

/** All has been sent, and stands still on both sides. */
async function arrive(scene: MigrationScene, calls: Calls, cookie: MigrationCookie): Promise<void> {
  const { away, flags, params, domain } = calls;
  let finished: Awaited<ReturnType<Connection['migrateFinish3']>>;
  try {
    const arrival = { ...params, destination_name: scene.record.domain.name };
    finished = await away.migrateFinish3(arrival, cookie, flags, false);
  } catch (error) {
    await callOff(calls, 'finished');
    throw error;
  }
  scene.passed('cross:finished');
  try {
    await recordArrival(scene, finished.domain);
    scene.passed('cross:recorded');
    await finished.domain.resume();
    const { stoodStillAt = Number.NaN } = scene.memory;
    scene.memory.downtimeMs = performance.now() - stoodStillAt;
    scene.passed('cross:running');
    await domain.migrateConfirm3(params, finished.cookie, flags, false);
    scene.passed('cross:confirmed');
  } catch (error) {
    await letGo(calls);
    throw error;
  }
}

/**
 * Without this connection libvirt at home ends the migration as undecided (qemuMigrationSrcCleanup): the domain stands still
 * there, and the next look and the record say what becomes of it.
 */
async function letGo({ home }: Calls): Promise<void> {
  await home.close().catch(() => {}); // it may be closed already
}

/** The journal, and what came along in the definitions. At home nothing can be written while libvirt has it migrate. */
async function recordArrival({ pair, record }: MigrationScene, domain: Domain): Promise<void> {
  const journal = await readJournal(pair, journalPath(record));
  if (journal === undefined) throw new StepImpossible('cross', 'the journal beside the copies is gone');
  const { revision } = journal.record;
  const arriving: MigrationRecord = { ...record, phase: 'arriving', revision: revision + 1 };
  await Promise.all([
    writeJournal(pair, { ...journal, record: arriving }),
    writeMetadata(domain, arriving, { running: true, persistent: true }),
  ]);
  // It came too late.
  await pair.away.host.unlink(wishPath(record));
}

/** Between perform and finish: the last moment at which an abort costs nothing. */
async function mustStillBeWanted({ pair, record }: MigrationScene, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const isAborted = (await pair.away.host.stat(wishPath(record))) !== null;
  if (isAborted) throw new StepImpossible('cross', 'it was aborted');
}

/**
 * As libvirt's own client does. It never ran at the destination, for it was to be left standing still there, so it may go on
 * at home also where the answer of the other side was lost.
 */
async function callOff(calls: Calls, from: 'prepared' | 'finished'): Promise<void> {
  const { away, domain, flags, params } = calls;
  const none = new Uint8Array(0);
  if (from === 'prepared') {
    const arrival = { ...params, destination_name: domain.name };
    await away.migrateFinish3(arrival, none, flags, true).catch(() => {});
  }
  await domain.migrateConfirm3(params, none, flags, true).catch(() => letGo(calls));
}
