// When libvirt's word on a block job is believed: its two answers may contradict each other for a moment, or for good.
import type { JobState } from '../model/world.ts';
import type { Memory } from './memory.ts';

/** For so long libvirt may contradict itself: between two answers, a job may have begun or ended. */
const CONTRADICTS_FOR_MS = 3_000;

/** A job of ours that libvirt does not show counts as running until it is sure that it stays so. */
export function trusted<J extends { readonly kind: string }>(
  job: J | (J & { readonly kind: 'ours'; readonly state: JobState }),
  memory: Memory,
): J {
  const state = 'state' in job ? job.state : undefined;
  if (state !== 'missing' && state !== 'unshown') {
    delete memory.contradictsSince;
    return job;
  }
  memory.contradictsSince ??= performance.now();
  return state === 'unshown' && !contradictsForLong(memory) ? { ...job, state: 'running' } : job;
}

export function contradictsForLong({ contradictsSince }: Memory): boolean {
  return contradictsSince !== undefined && performance.now() - contradictsSince > CONTRADICTS_FOR_MS;
}
