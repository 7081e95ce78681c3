// Two hosts and the two contexts of a migration between them, for tests within one process.
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Host, localHost, sshHost } from '@blockferry/qemu';
import {
  type Guest,
  type LibvirtHost,
  lostOnDisk,
  type Sshd,
  startLibvirtHost,
  startSshd,
  verifyAcknowledged,
} from '@blockferry/testbed';
import { expect } from 'vitest';
import type { OneSide, Pair } from '../src/migrate/pair.ts';
import { preflightMigration } from '../src/migrate/preflight/preflight.ts';
import type { MigrationRecord } from '../src/migrate/record.ts';
import type { MigrationReport } from '../src/migrate/report.ts';
import type { MigrationRequest } from '../src/migrate/request.ts';
import { type MigrationEnded, runMigration } from '../src/migrate/run-migration.ts';
import { OpenMoves } from '../src/record/open-moves.ts';
import { Link } from '../src/run/link.ts';

export class TwoHosts {
  readonly one: LibvirtHost;
  readonly two: LibvirtHost;
  readonly #state: string;
  readonly #here = localHost();
  readonly #sides: OneSide[] = [];
  readonly #servers = new Map<LibvirtHost, Sshd>();

  private constructor(one: LibvirtHost, two: LibvirtHost, state: string) {
    this.one = one;
    this.two = two;
    this.#state = state;
  }

  static async start(): Promise<TwoHosts> {
    const [one, two] = await Promise.all([
      startLibvirtHost({ name: 'bf-one' }),
      startLibvirtHost({ name: 'bf-two' }),
    ]);
    return new TwoHosts(one, two, await mkdtemp(join(tmpdir(), 'bf-state-')));
  }

  /** @param way how it is reached; by default through its socket, tools on this machine */
  side({ uri }: Pick<LibvirtHost, 'uri'>, tools: Host = this.#here): OneSide {
    const side = { link: new Link(uri), host: tools, openMoves: new OpenMoves(this.#here, this.#state) };
    this.#sides.push(side);
    return side;
  }

  /** Libvirt and tools over ssh: a new connection each time. The tools see the host's own directories. */
  async overSsh(host: LibvirtHost): Promise<OneSide> {
    const server = this.#servers.get(host) ?? (await startSshd(host));
    this.#servers.set(host, server);
    const { port, keyfile, command } = server;
    const uri = `qemu+ssh://root@127.0.0.1:${port}/system?keyfile=${keyfile}&no_tty=1&command=${command}`;
    return this.side(
      { uri },
      sshHost({ host: '127.0.0.1', user: 'root', port, keyfile, command, noTty: true }),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#sides.map(({ link }) => link.close()));
    await Promise.all(this.#sides.map(({ host }) => host.close()));
    await Promise.all([...this.#servers.values()].map((server) => server.stop()));
    await Promise.all([this.one.stop(), this.two.stop()]);
  }

  /** Notes of migrations and moves that have not ended. */
  async notes(): Promise<string[]> {
    return (await readdir(this.#state)).filter((name) => !name.endsWith('.left'));
  }
}

export function ask(domain: string, more: Partial<MigrationRequest> = {}): MigrationRequest {
  const uri = { migrateUri: 'tcp://localhost' };
  return { domain, offline: false, verify: true, autoConverge: false, ...uri, ...more };
}

export interface Migrated {
  readonly record: MigrationRecord;
  readonly ended: MigrationEnded;
  readonly reports: readonly MigrationReport[];
}

/** Preflight and run; it must end at the destination. */
export async function migrateNow(pair: Pair, request: MigrationRequest): Promise<Migrated> {
  const { record } = await preflightMigration(pair, request);
  const reports: MigrationReport[] = [];
  const signal = new AbortController().signal;
  const ended = await runMigration(pair, record, { signal, report: (report) => reports.push(report) });
  expect(ended.ending).toEqual({ kind: 'migrated' });
  return { record, ended, reports };
}

/** The guest runs on that host; its power is cut, and the images have every write that it was told was flushed. */
export async function proveKept(
  guest: Guest,
  on: LibvirtHost,
  images: Readonly<Record<string, string>>,
): Promise<void> {
  expect((await on.virsh('domstate', guest.name)).trim()).toBe('running');
  await guest.waitForWrites(50);
  await on.virsh('suspend', guest.name);
  for (const [disk, path] of Object.entries(images)) {
    const node = { driver: 'qcow2', 'force-share': true, file: { driver: 'file', filename: path } };
    const { lost } = await verifyAcknowledged({ node }, await guest.acknowledged(disk));
    expect(lostOnDisk(lost)).toEqual([]);
  }
  await on.virsh('resume', guest.name);
}
