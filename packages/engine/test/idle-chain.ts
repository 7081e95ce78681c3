// An idle domain `vm` over base <- middle <- top, anew for each test, and what is done to its chain.
import { join } from 'node:path';
import {
  footprint,
  type LibvirtHost,
  Mover,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { expect } from 'vitest';
import { Refusal } from '../src/model/errors.ts';
import { preflightShorten } from '../src/preflight/shorten.ts';
import type { ShortenRequest } from '../src/preflight/shorten-request.ts';

export type Asked = Pick<ShortenRequest, 'how'> & Partial<ShortenRequest>;

export const commit = (more: object = {}) => ({ how: { kind: 'commit', shallow: false, ...more } }) as const;
export const pull = (more: object = {}) => ({ how: { kind: 'pull', ...more } }) as const;
export const coded = (code: string) => expect.objectContaining({ code });

export class IdleChain {
  readonly host: LibvirtHost;
  readonly mover: Mover;

  static async start(): Promise<IdleChain> {
    return new IdleChain(await startLibvirtHost());
  }

  private constructor(host: LibvirtHost) {
    this.host = host;
    this.mover = new Mover(host);
  }

  readonly at = (name: string) => join(this.host.imagesDir, name);
  readonly virsh = (...args: readonly string[]) => this.host.virsh(...args);
  readonly disk = (name: string) => ({ target: 'vda', path: this.at(name), format: 'qcow2' as const });

  /** An empty image over another, whose name says if it is raw; as large as that, unless told. */
  readonly create = async (name: string, base?: string, size?: string): Promise<void> => {
    const format = base?.endsWith('.raw') ? 'raw' : 'qcow2';
    const path = base?.startsWith('/') ? base : this.at(base ?? '');
    const backing = base === undefined ? [] : ['-b', path, '-F', format];
    const bytes = size ?? (base === undefined ? '16M' : undefined);
    const given = bytes === undefined ? [] : [bytes];
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, this.at(name), ...given]);
  };

  async begin(): Promise<void> {
    await this.create('base');
    await this.create('middle', 'base');
    await this.create('top', 'middle');
    await startIdle(this.host, { name: 'vm', disks: [this.disk('top')] });
  }

  async end(): Promise<void> {
    for (const name of ['vm', 'other']) await removeIdle(this.host, name);
    await run(['sh', '-c', 'rm -rf "$1"/*', 'sh', this.host.imagesDir]);
  }

  async stop(): Promise<void> {
    await this.mover.close();
    await this.host.stop();
  }

  readonly plan = (asked: Asked) => preflightShorten(this.mover.context, requestOf(asked));

  /** Undefined: it is not refused. Either way nothing was touched. */
  readonly refusal = async (asked: Asked): Promise<Refusal | undefined> => {
    const connection = await this.mover.context.link.connection();
    const before = await footprint(connection, this.host.imagesDir);
    const found = await this.plan(asked).catch((error: unknown) => error);
    expect(await footprint(connection, this.host.imagesDir)).toEqual(before);
    if (found instanceof Refusal) return found;
    if (found instanceof Error) throw found;
    return undefined;
  };

  readonly carryOut = async (asked: Asked) => {
    const { move, warnings } = await this.plan(asked);
    return this.mover.run(move, warnings);
  };
}

function requestOf(asked: Asked): ShortenRequest {
  return { domain: 'vm', disk: 'vda', deleteSource: false, keepRelative: false, hold: false, ...asked };
}
