// A migration for people: what it will do, how far it is, and how it ended.
import {
  type MigrationNote,
  type MigrationPreflight,
  type MigrationRecord,
  mayHaveRunAway,
  migrationSteps,
  unreachable,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { commandsOf, type MigrationResult } from '../../outcome/migration.ts';
import { formatBytes, formatDuration } from '../format.ts';
import { migrationPhaseWords } from './domains.ts';
import { errorLines } from './result.ts';
import { atWorkWords, goOnWords } from './status.ts';

/** A note of ours, and why it could not be followed to where the record is. */
export interface UnclearMigration {
  readonly note: MigrationNote;
  readonly why: string;
}

export function migrationPlanText({ record, bytes }: MigrationPreflight, withSteps: boolean): string {
  const off = record.mode === 'offline' ? ', while it is off' : '';
  const copied = new Set(
    record.disks.flatMap(({ layers }) => layers.map(({ to }) => describeSource(to.source))),
  );
  const lines = [
    `${record.domain.name}: ${formatBytes(bytes)} to copy${off}`,
    `  from   ${record.home}`,
    `  to     ${record.away}`,
    ...record.disks.map(({ target, layers, shared }) => {
      const chain = [...layers, ...shared].map(({ to }) => describeSource(to.source));
      const brought = shared.filter(({ to }) => copied.has(describeSource(to.source))).length;
      const there = `${partWords(shared.length - brought, 'there already')}${partWords(brought, 'with another disk')}`;
      return `  ${target}    ${chain.reverse().join(' <- ')}${there}`;
    }),
  ];
  const steps = migrationSteps(record).flatMap(({ what, leaves }, index) => [
    `  ${String(index + 1).padStart(2)}. ${what}`,
    `      if everything stopped here: ${leaves}`,
  ]);
  return `${[...lines, ...(withSteps ? ['steps', ...steps] : [])].join('\n')}\n`;
}

function partWords(count: number, how: string): string {
  return count === 0 ? '' : ` (${count} ${how})`;
}

export function continuingMigration({ domain, away, goal }: MigrationRecord): string {
  return `${goal === 'home' ? 'undoing' : 'continuing'} the migration of ${domain.name} to ${away}`;
}

/** An open migration, and what to do about it. */
export function migrationText(record: MigrationRecord, atWork: boolean | undefined): string {
  const { domain, home, away, mode, disks } = record;
  const { resume, undo } = commandsOf(record);
  const lines = [
    `${domain.name}: ${mode === 'live' ? 'migration' : 'migration while off'}, ${migrationPhaseWords(record)}${atWorkWords(atWork)}`,
    `  from  ${home}`,
    `  to    ${away}`,
    ...disks.map(({ target, layers }) => `  ${target}   ${describeSource(layers[0].to.source)}`),
    ...goOnWords(atWork, resume).map((advice) => `  → ${advice}`),
    ...(mayHaveRunAway(record) ? [] : [`  → undo: ${undo}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** One that we have a note of, and no more. */
export function unclearMigrationText({ note, why }: UnclearMigration): string {
  const lines = [
    `${note.domain.name}: migration, unless it has ended: its record cannot be read (${why})`,
    `  from  ${note.home}`,
    `  to    ${note.away}`,
    `  → go on, once the destination can be reached: blockferry resume ${quoteArgument(note.domain.name)}`,
  ];
  return `${lines.join('\n')}\n`;
}

export function migrationResultText(result: MigrationResult): string {
  const lines = [headline(result), ...figures(result), ...kept(result), ...errorLines(result)];
  return `${lines.join('\n')}\n`;
}

function headline({ outcome, domain, away, home, runsOn }: MigrationResult): string {
  const name = domain ?? '';
  switch (outcome) {
    case 'migrated':
      return `migrated: ${name} ${runsOn === 'away' ? 'is' : 'was brought'} at ${away}`;
    case 'back':
      return `back: ${name} is at ${home}`;
    case 'interrupted':
    case 'stopped':
      return name === '' ? 'stopped' : `${outcome}: ${name} is not migrated yet${whereWords(runsOn)}`;
    case 'refused':
      return name === '' ? 'refused' : `refused: ${name} was not touched`;
    case 'question':
      return `${name}: a decision is needed`;
    case 'failed':
      return name === '' ? 'failed' : `failed: ${name}${whereWords(runsOn)}`;
    case 'done':
    case 'nothing':
    case 'moved':
    case 'ready':
    case 'kept':
    case 'copied':
    case 'committed':
    case 'flattened':
      return `${outcome}: ${name}`.trim();
    default:
      return unreachable(outcome);
  }
}

function whereWords(runsOn: MigrationResult['runsOn']): string {
  switch (runsOn) {
    case 'home':
      return ', and runs at home';
    case 'away':
      return ', and runs at the destination';
    case 'neither':
      return ', and runs nowhere now';
    case 'both':
      return ', and runs on both hosts';
    case undefined:
      return '';
    default:
      return unreachable(runsOn);
  }
}

function figures({
  downtimeMs,
  freezeMs,
  bytes,
  copiedBefore,
  verifiedBytes,
  durationMs,
}: MigrationResult): string[] {
  const facts = [
    ...(downtimeMs === undefined ? [] : [`stood still for ${formatDuration(downtimeMs)}`]),
    ...(freezeMs === undefined ? [] : [`freeze ${formatDuration(freezeMs)}`]),
    ...(bytes === undefined || bytes === 0n ? [] : [`${formatBytes(bytes)} copied`]),
    ...(copiedBefore === undefined || copiedBefore === 0n
      ? []
      : [`${formatBytes(copiedBefore)} not copied again`]),
    ...(verifiedBytes === undefined || verifiedBytes === 0n
      ? []
      : [`${formatBytes(verifiedBytes)} verified`]),
    ...(durationMs === undefined ? [] : [`took ${formatDuration(durationMs)}`]),
  ];
  return facts.length === 0 ? [] : [`  ${facts.join(', ')}`];
}

function kept({ sourcesKept, home, domain = '' }: MigrationResult): string[] {
  if (sourcesKept.length === 0) return [];
  return [
    `  kept at ${home}: ${sourcesKept.join(' ')}`,
    `  once you no longer want them: blockferry cleanup ${quoteArgument(domain)} --delete-source`,
  ];
}
