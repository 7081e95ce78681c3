// The guest's file systems, frozen through its agent for the instant of a copy, and thawed whatever happens.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Domain, ErrorCode, LibvirtError } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { record } from '../../act/record.ts';
import { definitionsOf } from '../../act/scene-domain.ts';
import type { LayeredStep } from '../../model/decision.ts';
import { messageOf } from '../../model/errors.ts';
import type { Place } from '../../model/layered-world.ts';
import type { MoveRecord } from '../../model/record.ts';
import type { Millis } from '../../model/units.ts';
import type { LayeredScene } from './layered-scene.ts';

/** libvirt's way to an agent is back some time after its daemon is. */
const AGENT_BACK_WITHIN_MS: Millis = 10_000;
const TRY_EVERY_MS: Millis = 500;

/** Whether the snapshot is to quiesce; what speaks against it is said, or noted as a failure where that is not allowed. */
export function mayQuiesce({ move, memory, observation, warn }: LayeredScene): boolean {
  const { copy } = move;
  if (copy === undefined || copy.quiesce === 'off') return false;
  const { quiesceFailed } = memory.layered;
  if (quiesceFailed !== undefined) {
    warn('not-quiesced', `${quiesceFailed}: the copy is one as after a power failure`);
    return false;
  }
  return observation.definitions?.live?.agentConnected === true;
}

/**
 * Records the intent, then takes the snapshot, with which libvirt freezes and thaws (VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE). An
 * agent that fails is no reason to throw: it is noted, and the next look decides. A libvirtd that dies in between leaves the
 * file systems frozen: by the record, they are thawed at the next look (thawGuest). A freeze that is somebody else's stays.
 */
export async function quiescing(scene: LayeredScene, snapshot: () => Promise<void>): Promise<void> {
  const { move, memory } = scene;
  if (move.copy === undefined) throw new Error('only a copy quiesces');
  await record({ ...scene, move: { ...move, copy: { ...move.copy, quiescing: true } } });
  try {
    await snapshot();
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    if (isUntried(error)) await record(scene);
    // libvirt thaws what it has frozen; but a freeze that timed out may still happen.
    else
      await definitionsOf(scene)
        .domain.fsThaw()
        .catch(() => {});
    if (!isOfAgent(error)) throw error;
    memory.layered.quiesceFailed = whyNotFrozen(error, move.domain.name);
  }
}

/**
 * Has the agent not even tried? As long as file systems are frozen it takes no other order to freeze (QEMU's qga/main.c,
 * ga_set_frozen; the words are qapi/qmp-dispatch.c's): they are somebody else's to thaw.
 */
export function isUntried({ message }: LibvirtError): boolean {
  return /guest-fsfreeze-freeze has been disabled/.test(message);
}

/** In words, for `message: what is made of it`. */
export function whyNotFrozen(error: LibvirtError, domain: string): string {
  if (!/in frozen state/.test(error.message)) {
    return `the guest's file systems could not be frozen (${messageOf(error)})`;
  }
  return `the guest's file systems were frozen before, which is left so (to thaw them: virsh domfsthaw ${quoteArgument(domain)})`;
}

/** libvirt has codes for an agent that is silent; what an agent itself refuses comes as an internal error (before 11.2). */
function isOfAgent({ code, message }: LibvirtError): boolean {
  return code === ErrorCode.AGENT_UNRESPONSIVE || /guest agent|agent command/i.test(message);
}

/** The record as this step leaves it: thawed; and quiesced, if the guest went to the overlay meanwhile. Pure. */
export function thawRecorded(move: MoveRecord, { name }: LayeredStep, live: Place): MoveRecord {
  if (name !== 'thaw-guest' || move.copy === undefined) return move;
  const { quiescing: _, ...copy } = move.copy;
  return { ...move, copy: live === 'overlay' ? { ...copy, quiesced: true } : copy };
}

/**
 * Thaws, and takes the intent out of the record. May be repeated; what is not frozen is not touched. An agent that is gone
 * is waited for; if it does not come back, that is said, for nobody else can thaw its guest.
 */
export async function thawGuest(scene: LayeredScene): Promise<void> {
  const { domain } = definitionsOf(scene);
  const failed = await thawPatiently(domain);
  if (failed !== undefined) {
    const hint = `virsh domfsthaw ${quoteArgument(scene.move.domain.name)}`;
    scene.warn('not-thawed', `the guest's file systems may still be frozen (${failed}): ${hint}`);
  }
  await record(scene);
}

/**
 * An agent that is gone is waited for.
 *
 * @returns why they may still be frozen; undefined: they are not
 */
export async function thawPatiently(domain: Pick<Domain, 'fsThaw'>): Promise<string | undefined> {
  const until = performance.now() + AGENT_BACK_WITHIN_MS;
  for (;;) {
    try {
      await domain.fsThaw();
      return undefined;
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      if (performance.now() > until) return messageOf(error);
      await sleep(TRY_EVERY_MS);
    }
  }
}
