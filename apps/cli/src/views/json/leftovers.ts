// The JSON lines of cleanup.
import {
  type LeftImages,
  type Leftover,
  type MigrationLeftover,
  type RestoreRemains,
  unreachable,
  type Verdict,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import type { JsonLine } from './lines.ts';

export function leftoverLine({ journal, move, verdict }: Leftover, removed: readonly string[]): JsonLine {
  return {
    type: 'leftover',
    journal: journal.path,
    domain: move?.domain.name,
    disk: move?.disk,
    destination: move && describeSource(move.destination.source),
    verdict: verdict.kind,
    why: whyOf(verdict),
    removed,
  };
}

/** In the words of `leftoverLine`. */
export function remainsLine({ path, plan, used }: RestoreRemains, removed: readonly string[]): JsonLine {
  return {
    type: 'leftover',
    journal: path,
    domain: plan.name,
    disk: undefined,
    destination: plan.disks[0].path,
    verdict: used ? 'remove-journal' : 'remove-copy',
    why: undefined,
    removed,
  };
}

export function trialLine({ name }: { readonly name: string }, removed: readonly string[]): JsonLine {
  return {
    type: 'leftover',
    journal: undefined,
    domain: name,
    disk: undefined,
    destination: undefined,
    verdict: 'undefine',
    why: undefined,
    removed,
  };
}

export function migrationLeftoverLine(
  { journal, record, verdict }: MigrationLeftover,
  removed: readonly string[],
): JsonLine {
  return {
    type: 'leftover',
    journal,
    domain: record?.domain.name,
    disk: undefined,
    destination: record && describeSource(record.disks[0].layers[0].to.source),
    migration: record?.id,
    verdict: verdict.kind,
    why: whyOf(verdict),
    removed,
  };
}

/** `sources`: what the domain left at `home`. */
export function leftImagesLine({ note, verdict, stays }: LeftImages, removed: readonly string[]): JsonLine {
  const { domain, id, home, images } = note;
  const others = stays.map(({ path, why }) => `${path} ${why}`).join('; ');
  return {
    type: 'leftover',
    journal: undefined,
    domain: domain.name,
    disk: undefined,
    destination: undefined,
    migration: id,
    home,
    sources: images.map(({ path }) => path),
    verdict: verdict.kind,
    why: others === '' ? whyOf(verdict) : others,
    removed,
  };
}

function whyOf(verdict: Verdict): string | undefined {
  switch (verdict.kind) {
    case 'keep':
      return verdict.why;
    case 'remove-journal':
      return verdict.note;
    case 'remove-copy':
      return undefined;
    default:
      return unreachable(verdict);
  }
}
