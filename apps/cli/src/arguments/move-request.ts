// From the options of `move` and `plan` to the engine's request.
import type { MoveRequest } from '@blockferry/engine';
import { parseGuard } from './guard.ts';
import { parseRate, parseSize } from './size.ts';
import { UsageError } from './usage-error.ts';

/** The options as the parser leaves them. */
export interface MoveOptions {
  readonly shallow?: boolean;
  readonly flatten?: boolean;
  readonly strategy?: string;
  readonly verify?: string;
  readonly guard?: string;
  readonly overlayDir?: string;
  readonly format?: string;
  readonly raw?: boolean;
  readonly bandwidth?: string;
  readonly bytes?: boolean;
  readonly granularity?: string;
  readonly bufSize?: string;
  readonly synchronousWrites?: boolean;
  readonly converge?: boolean;
  readonly reuseExternal?: boolean;
  readonly destXml?: string;
  readonly xml?: string;
  readonly dest?: string;
  readonly hold?: boolean;
  readonly finish?: boolean;
  readonly pivot?: boolean;
  readonly deleteSource?: boolean;
  readonly transientJob?: boolean;
  readonly all?: string;
  readonly groupPause?: boolean;
  readonly json?: boolean;
  readonly yes?: boolean;
}

export interface MoveArguments {
  readonly request: MoveRequest;
}

/**
 * @param readFile gives the text of --dest-xml's file
 * @throws UsageError for options that contradict each other or cannot be read
 */
export async function moveArguments(
  positional: { readonly domain: string; readonly disk: string; readonly destination: string | undefined },
  options: MoveOptions,
  readFile: (path: string) => Promise<string>,
): Promise<MoveArguments> {
  checkContradictions(options);
  const destination = oneDestination(positional.destination, options);
  const destXml = options.destXml ?? options.xml;
  const destinationXml = destXml === undefined ? undefined : await readFile(destXml);
  const format = formatOf(options);
  const guard = parseGuard(options.guard);
  const request: MoveRequest = {
    domain: positional.domain,
    disk: positional.disk,
    ...(destination !== undefined && { destination }),
    ...(destinationXml !== undefined && { destinationXml }),
    scope: options.shallow ? 'shallow' : options.flatten ? 'flatten' : 'chain',
    strategy: strategyOf(options.strategy),
    verify: verifyOf(options.verify),
    ...(guard !== 'off' && { guard }),
    ...(options.overlayDir !== undefined && { overlayDirectory: options.overlayDir }),
    ...(format !== undefined && { format }),
    reuseExternal: options.reuseExternal ?? false,
    hold: options.hold ?? false,
    undefine: options.transientJob === false,
    options: copyOptions(options),
  };
  return { request };
}

function checkContradictions(options: MoveOptions): void {
  if (options.finish) {
    throw new UsageError(
      '--finish is two commands here, so that nothing ends by accident',
      'move with --hold; when it is ready, blockferry abort DOMAIN DISK --keep ends it and keeps the copy',
    );
  }
  if (options.shallow && options.flatten) throw new UsageError('--shallow and --flatten exclude each other');
  if (options.hold && options.pivot) throw new UsageError('--hold and --pivot exclude each other');
}

function oneDestination(positional: string | undefined, options: MoveOptions): string | undefined {
  const given = [
    ...(positional === undefined ? [] : ['DEST']),
    ...(options.dest === undefined ? [] : ['--dest']),
    ...(options.destXml === undefined ? [] : ['--dest-xml']),
    ...(options.xml === undefined ? [] : ['--xml']),
  ];
  if (given.length === 0) {
    throw new UsageError('no destination was given', 'DEST: a file, a directory, pool:NAME, or a URI');
  }
  if (given.length > 1) throw new UsageError(`${given.join(' and ')} exclude each other`);
  return positional ?? options.dest;
}

function formatOf({ format, raw }: MoveOptions): string | undefined {
  if (raw && format !== undefined && format !== 'raw') {
    throw new UsageError(`--raw and --format ${format} exclude each other`);
  }
  return raw ? 'raw' : format;
}

function copyOptions(options: MoveOptions): MoveRequest['options'] {
  const bandwidth =
    options.bandwidth === undefined
      ? undefined
      : parseRate(options.bandwidth, '--bandwidth', { bytes: options.bytes ?? false });
  const granularity =
    options.granularity === undefined ? undefined : Number(parseSize(options.granularity, '--granularity'));
  const bufSize = options.bufSize === undefined ? undefined : parseSize(options.bufSize, '--buf-size');
  return {
    ...(bandwidth !== undefined && bandwidth > 0n && { bandwidth }),
    ...(granularity !== undefined && { granularity }),
    ...(bufSize !== undefined && { bufSize }),
    synchronousWrites: options.synchronousWrites ?? false,
    converge: options.converge ?? false,
    deleteSource: options.deleteSource ?? false,
  };
}

export function verifyOf(text: string | undefined): boolean {
  if (text === undefined || text === 'full') return true;
  if (text === 'none') return false;
  throw new UsageError(`--verify ${text}: there is nothing of that name`, 'full or none');
}

function strategyOf(text: string | undefined): MoveRequest['strategy'] {
  if (text === undefined || text === 'auto') return 'auto';
  if (text === 'mirror' || text === 'layered') return text;
  throw new UsageError(`--strategy ${text}: there is none of that name`, 'auto, mirror or layered');
}
