// Our command line as an operator calls it, and what this version of it can do.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LibvirtHost, run } from '@blockferry/testbed';
import type { MoveRequest, Mover } from './mover.ts';
import { readTold } from './told.ts';

export const blockferry = fileURLToPath(new URL('../../../bin/blockferry', import.meta.url));

export interface Features {
  readonly strategy: 'layered' | 'mirror';
  readonly guard: boolean;
  readonly verify: boolean;
}

/** By its own help. `wanted` layered is believed, so that a case fails where it should be there and is not. */
export async function featuresOf(wanted: 'auto' | 'layered' | 'mirror'): Promise<Features> {
  const { stdout } = await run([blockferry, 'move', '--help']);
  const layered = /--strategy.*layered/.test(stdout);
  return {
    strategy: wanted === 'auto' ? (layered ? 'layered' : 'mirror') : wanted,
    guard: stdout.includes('--guard'),
    verify: stdout.includes('--verify'),
  };
}

export interface BlockferryOptions {
  readonly guard: string;
  readonly verify: 'full' | 'none';
}

export function blockferryMover(host: LibvirtHost, features: Features, options: BlockferryOptions): Mover {
  const env = { BLOCKFERRY_STATE_DIR: join(host.directory, 'bench-state') };
  const label =
    options.guard === 'off' || !features.guard ? 'blockferry' : `blockferry, guard ${options.guard}`;
  return {
    name: label,
    command: (request) => ({
      argv: [
        ...[blockferry, '-c', host.uri, 'move', request.domain, 'vda'],
        ...destination(request, features),
        ...(features.verify ? ['--verify', options.verify] : []),
        ...(features.guard ? ['--guard', options.guard] : []),
        ...(request.mustConverge && features.strategy === 'mirror' ? ['--converge'] : []),
        '--yes',
        '--json',
      ],
      env,
    }),
    told: readTold,
  };
}

function destination(request: MoveRequest, { strategy }: Features): readonly string[] {
  const file = join(request.directory, 'copy.qcow2');
  if (request.scope === 'shallow') return [file, '--shallow'];
  if (strategy === 'mirror') return [file, '--flatten', '--strategy', 'mirror'];
  return [request.directory, '--strategy', 'layered'];
}
