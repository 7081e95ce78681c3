// An open move for people: how it stands, and what to do about it.
import { type MoveStatus, unreachable } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { remedy } from '../../outcome/question.ts';
import { commandsFor, isPastUndo, waysOnWhileOff } from '../../outcome/result.ts';
import { phaseWords } from '../../outcome/work-words.ts';
import { formatBytes, percentOf } from '../format.ts';

export function statusText(status: MoveStatus): string {
  const { move, job } = status;
  const name = `${move.domain.name} ${move.disk}`;
  const lines = [
    `${name}: ${stateWords(status)}`,
    ...fromAndTo(move),
    ...(job.kind === 'ours' && job.end > 0n
      ? [`  ${percentOf(job.cur, job.end)} %, ${formatBytes(job.cur)} of ${formatBytes(job.end)}`]
      : []),
    ...layersLine(status),
    ...togetherLines(status),
    ...adviceFor(status).map((advice) => `  → ${advice}`),
  ];
  return `${lines.join('\n')}\n`;
}

function fromAndTo({ strategy, origin, destination }: MoveStatus['move']): string[] {
  const [from, to] = [describeSource(origin.source), describeSource(destination.source)];
  if (strategy === 'commit') return [`  commit  ${from}`, `  into    ${to}`];
  if (strategy === 'pull') return [`  pull  ${from}`, `  into  ${to}`];
  return [`  from  ${from}`, `  to    ${to}`];
}

function layersLine({ layers, live }: MoveStatus): string[] {
  if (layers?.total === undefined || live !== 'overlay') return [];
  const { copied, verified, total } = layers;
  return [
    `  ${percentOf(copied, total)} %, ${formatBytes(copied)} of ${formatBytes(total)} copied, ${formatBytes(verified)} verified`,
  ];
}

function togetherLines({ move }: MoveStatus): string[] {
  const { disk, domain, group } = move;
  const others = group?.disks.filter((other) => other !== disk) ?? [];
  return [
    ...(others.length === 0
      ? []
      : [
          `  together with ${others.join(', ')}: ${move.copy === undefined ? 'all are switched, or none' : 'of one instant'}`,
        ]),
    ...(group?.paused === undefined
      ? []
      : [
          `  the guest was paused for the switch; it goes on with: blockferry resume ${quoteArgument(domain.name)}`,
        ]),
  ];
}

/** How it stands, and whether anybody goes on with it. */
function stateWords(status: MoveStatus): string {
  const { job, move, atWork } = status;
  const held = job.kind === 'ours' && job.state === 'ready' && move.goal === 'hold';
  return held ? standsWords(status) : `${standsWords(status)}${atWorkWords(atWork)}`;
}

/** Behind how something open stands. @param atWork undefined: nobody can tell */
export function atWorkWords(atWork: boolean | undefined): string {
  return atWork === undefined ? '' : `; ${atWork ? 'a' : 'no'} blockferry is at work on it`;
}

/** The advice to go on, unless somebody does. */
export function goOnWords(atWork: boolean | undefined, resume: string): string[] {
  return atWork ? [] : [`${atWork === undefined ? 'go on, if no blockferry does' : 'go on'}: ${resume}`];
}

function standsWords({ move, domain, job, live, layers }: MoveStatus): string {
  if (move.shorten !== undefined && live === 'destination')
    return 'the chain is short; the rest is to be settled';
  const phase = phaseWords(move);
  if (domain !== 'running') return `${phase}; the domain is ${domain}`;
  if (live === 'destination') return 'the guest runs on the destination; the rest is to be settled';
  switch (job.kind) {
    case 'ours':
      return job.state === 'ready' && move.goal === 'hold' ? 'ready, held' : `${phase}, ${job.state}`;
    case 'foreign':
      return `${phase}; another job (${job.what}) runs on the disk`;
    case 'none':
      // Layers are copied outside of QEMU, by whoever is at work: no block job tells of it.
      return layers !== undefined ? phase : `${phase}, no copy runs now`;
    default:
      return unreachable(job);
  }
}

function adviceFor({ move, domain, job, live, next, atWork }: MoveStatus): string[] {
  const { resume, undo, pivot } = commandsFor(move);
  if (next.kind === 'ask') return remedy(next.question, move);
  const whileOff = domain === 'off' && !atWork ? waysOnWhileOff(move) : undefined;
  if (whileOff !== undefined) return [...whileOff];
  if (job.kind === 'ours' && job.state === 'ready' && move.goal === 'hold') {
    return [`switch: ${pivot}`, `undo: ${undo}`];
  }
  const onward = goOnWords(atWork, resume);
  const isAcross = live === 'carrier' || live === 'destination';
  return isAcross || isPastUndo(move) ? onward : [...onward, `undo: ${undo}`];
}
