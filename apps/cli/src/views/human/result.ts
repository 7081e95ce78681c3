// How a move ended, for people: what the guest runs on, what it cost, what is left, and what to do.
import { unreachable } from '@blockferry/engine';
import { quoteArgument } from '@blockferry/qemu';
import type { Result } from '../../outcome/result.ts';
import { formatBytes, formatDuration } from '../format.ts';

export function resultText(result: Result): string {
  if (result.disks !== undefined) return togetherText(result, result.disks);
  const lines = [headline(result), ...details(result), ...errorLines(result)];
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}

/** Several disks that moved as one: how each ended, then what is true of all. */
function togetherText(result: Result, disks: readonly Result[]): string {
  const { domain, pausedMs } = result;
  const ready =
    result.outcome === 'ready' && domain !== undefined ? adviceWhenReady(quoteArgument(domain)) : [];
  const lines = [
    ...disks.flatMap((disk) => [headline(disk), ...whereItRuns(disk)]),
    ...figures(result),
    ...feltWords(result.guard),
    ...(pausedMs === undefined ? [] : [`  the guest was paused for ${formatDuration(pausedMs)}`]),
    ...ready,
    ...whatIsLeft(result),
    ...errorLines(result),
  ];
  return `${lines.join('\n')}\n`;
}

function headline(result: Result): string {
  const { outcome, domain, disk, source, destination, strategy, runsOn } = result;
  // A domain that is off runs on nothing.
  const isOn = runsOn === undefined ? 'is on' : 'runs on';
  const what = domain === undefined ? '' : `${domain} ${disk ?? ''}`.trim();
  switch (outcome) {
    case 'moved':
      return `moved: ${what} ${isOn} ${destination}`;
    case 'committed':
      return `committed: ${what}, from ${source} down into ${destination}`;
    case 'flattened':
      return `flattened: ${what}: ${destination} has taken what was below it`;
    case 'ready':
      return `ready: ${what} runs on ${source}; every write goes to ${destination} as well`;
    case 'kept':
      return `kept: ${destination} is a copy of ${what} as it was now; the guest runs on ${source}`;
    case 'copied':
      return `copied: ${destination} is an image of ${what}, which ${isOn} ${source} as before`;
    case 'back':
      return strategy === undefined
        ? `back: ${what} ${isOn} ${source}`
        : `back: ${what} has its chain as it was`;
    case 'interrupted':
    case 'stopped':
      return what === '' ? 'stopped' : `${outcome}: ${what} is not ${undone(result)} yet`;
    case 'refused':
      return what === '' ? 'refused' : `refused: ${what} was not touched`;
    case 'question':
      return `${what}: a decision is needed`;
    case 'failed':
      return what === '' ? 'failed' : `failed: ${what}`;
    case 'done':
      return what === '' ? 'done' : `done: ${what}`;
    case 'nothing':
      return `nothing to do: no move${what === '' ? '' : ` of ${what}`} is open`;
    default:
      return unreachable(outcome);
  }
}

function undone({ strategy, copy }: Result): string {
  if (strategy !== undefined) return 'done';
  if (copy === undefined) return 'moved';
  return copy === 'making' ? 'copied' : 'back on its own image';
}

function details(result: Result): string[] {
  const { outcome, domain, disk, cannotBeKept } = result;
  const which = `${quoteArgument(domain ?? '')} ${disk}`;
  const keep = cannotBeKept ? [] : [`  stay here and keep the copy: blockferry abort ${which} --keep`];
  return [
    ...lockedWords(result),
    ...figures(result),
    ...feltWords(result.guard),
    ...whereItRuns(result),
    ...(outcome === 'ready' ? [...adviceWhenReady(which), ...keep] : []),
    ...whatIsLeft(result),
  ];
}

/** Of an image that was made in LUKS. */
function lockedWords({ images = [] }: Result): string[] {
  const [secret] = images.flatMap((image) => image.secret ?? []);
  return secret === undefined ? [] : [`  in LUKS, opened by libvirt's secret ${secret}`];
}

/** Where the headline does not say it, or is wrong about it. */
function whereItRuns({ outcome, runsOn, source, strategy }: Result): string[] {
  if (runsOn === undefined) return [];
  if (strategy !== undefined) return outcome === 'ready' ? [] : [`  the guest runs on ${runsOn}`];
  const saysWhere =
    outcome === 'moved' ||
    outcome === 'ready' ||
    outcome === 'kept' ||
    outcome === 'copied' ||
    outcome === 'back';
  return !saysWhere || (outcome === 'back' && runsOn !== source) ? [`  the guest runs on ${runsOn}`] : [];
}

function adviceWhenReady(which: string): string[] {
  return [`  switch: blockferry pivot ${which}`, `  undo: blockferry abort ${which}`];
}

function whatIsLeft({ sourcesKept, removals, sourcesDeleted, leftovers, strategy }: Result): string[] {
  const kind = strategy === undefined ? 'source kept' : 'no longer in the chain';
  const lines = [
    ...sourcesDeleted.map((deleted) => `  ${strategy === undefined ? 'source ' : ''}deleted: ${deleted}`),
    ...sourcesKept.map((kept) => `  ${kind}: ${kept}`),
  ];
  if (sourcesKept.length > 0) {
    const them = sourcesKept.length === 1 ? 'it' : 'them';
    for (const command of removalsOf(sourcesKept, removals)) {
      lines.push(`  once nothing else uses ${them} and you no longer want ${them}: ${command}`);
    }
  }
  return [...lines, ...leftovers.map((leftover) => `  left behind: ${leftover}`)];
}

/** What it took, on one line. */
function figures({ cutoverMs, freezeMs, durationMs, bytes, ...result }: Result): string[] {
  const { copiedBefore = 0n, verifiedBytes = 0n, allocatedBytes } = result;
  const facts = [
    ...(cutoverMs === undefined ? [] : [`cutover ${formatDuration(cutoverMs)}`]),
    ...(freezeMs === undefined ? [] : [`freeze ${formatDuration(freezeMs)}`]),
    ...(bytes === undefined ? [] : [`${formatBytes(bytes)} copied`]),
    ...(copiedBefore === 0n ? [] : [`${formatBytes(copiedBefore)} not copied again`]),
    ...(verifiedBytes === 0n ? [] : [`${formatBytes(verifiedBytes)} verified`]),
    ...(allocatedBytes === undefined ? [] : [`${formatBytes(allocatedBytes)} allocated`]),
    ...(durationMs === undefined ? [] : [`took ${formatDuration(durationMs)}`]),
  ];
  return facts.length === 0 ? [] : [`  ${facts.join(', ')}`];
}

/** What the guest's writes took alone and while its layers were copied. */
function feltWords(guard: Result['guard']): string[] {
  const { baselineMs, meanMs, worstMs, baselineP95Ms, p95Ms, heldBackMs = 0 } = guard ?? {};
  if (meanMs === undefined) return [];
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const alone = baselineMs === undefined ? '' : `${ms(baselineMs)} alone, `;
  const worst = worstMs === undefined ? '' : `, ${ms(worstMs)} at worst`;
  const percentile =
    p95Ms === undefined || baselineP95Ms === undefined
      ? ''
      : `, 95 of 100 in ${ms(p95Ms)} (${ms(baselineP95Ms)} alone)`;
  const held = heldBackMs === 0 ? '' : `; the guard held the copy back for ${formatDuration(heldBackMs)}`;
  return [`  the guest's writes took ${alone}${ms(meanMs)} while copying${percentile}${worst}${held}`];
}

/** For what can be removed by a command: a device or an export cannot. */
function removalsOf(names: readonly string[], removals: readonly string[] = []): string[] {
  const files = names.filter((name) => name.startsWith('/') && !name.startsWith('/dev/'));
  return [...(files.length === 0 ? [] : [`rm ${files.map(quoteArgument).join(' ')}`]), ...removals];
}

/** What happened, then what to do, each on lines of their own. */
export function errorLines({ error }: Pick<Result, 'error'>): string[] {
  if (error === undefined) return [];
  const hints = error.hint?.split('\n') ?? [];
  return [`  ${error.message.trimEnd().replaceAll('\n', '\n  ')}`, ...hints.map((hint) => `  → ${hint}`)];
}
