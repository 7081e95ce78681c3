// The JSON lines of the commands that look: domain, chain, move, check, leftover.
import type {
  ChainReport,
  Check,
  DomainSummary,
  MoveRecord,
  MoveStatus,
  TreeImage,
  TreesReport,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { namesOf } from '../../outcome/result.ts';
import { percentOf } from '../format.ts';
import type { JsonLine } from './lines.ts';

export function domainLine(domain: DomainSummary): JsonLine {
  const disks = domain.disks.map((disk) => ({ ...disk, move: moveOf(disk.move) }));
  return { type: 'domain', ...domain, disks, migration: migrationOf(domain.migration) };
}

function migrationOf(migration: DomainSummary['migration']): object | string | undefined {
  if (migration === undefined || migration === 'unreadable') return migration;
  const { id, home, away, mode, phase, goal } = migration;
  return { id, home, away, mode, phase, goal };
}

function moveOf(move: MoveRecord | 'unreadable' | undefined): object | string | undefined {
  if (move === undefined || move === 'unreadable') return move;
  const { id, phase, goal, destination } = move;
  return { id, phase, goal, destination: describeSource(destination.source) };
}

export function chainLine({ images, ...report }: ChainReport): JsonLine {
  return {
    type: 'chain',
    ...report,
    images: images.map(({ usedBy, ...image }) => ({
      ...image,
      usedBy: usedBy.map(({ domain, disk, definition, role }) => ({ domain, disk, definition, role })),
    })),
  };
}

/** `base`: the image that it stands on, if that is among them. */
export function imageLine({ children: _, ...image }: TreeImage, base: TreeImage | undefined): JsonLine {
  return { type: 'image', ...image, base: base?.path };
}

/** What a report of trees could not look at. */
export function doubtLines({ unknown, unread }: TreesReport): JsonLine[] {
  const uses = unknown.map(({ domain, disk, why }) => ({ code: 'use-unknown', domain, disk, message: why }));
  const directories = unread.map(({ directory, why }) => ({
    code: 'directory-unread',
    directory,
    message: why,
  }));
  return [...uses, ...directories].map((line) => ({ type: 'warning', ...line }));
}

export function moveLine({ move, domain, live, config, job, layers, atWork, next }: MoveStatus): JsonLine {
  const { id, phase, goal, scope, strategy, group } = move;
  return {
    type: 'move',
    ...namesOf(move),
    id,
    phase,
    goal,
    scope,
    strategy,
    ...(group && { group }),
    state: domain,
    live,
    config,
    job:
      job.kind === 'ours'
        ? { state: job.state, copied: job.cur, total: job.end, percent: percentOf(job.cur, job.end) }
        : job.kind === 'foreign'
          ? { state: 'foreign', what: job.what }
          : undefined,
    layers,
    atWork,
    question: next.kind === 'ask' ? next.question : undefined,
  };
}

export function checkLine(check: Check): JsonLine {
  return { type: 'check', ...check };
}
