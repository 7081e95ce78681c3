// The list of moves begun from this machine and not ended: one small file each in a state directory. It is how a
// move is found whose domain is gone, and where journals stand that have no place beside the destination.
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import type { MoveRecord } from '../model/record.ts';
import type { JournalPlace, SavedDefinition } from './journal.ts';

/** `$BLOCKFERRY_STATE_DIR`, else /var/lib/blockferry for root and $XDG_STATE_HOME/blockferry for users. */
export function stateDirectory(env: NodeJS.ProcessEnv, uid: number): string {
  if (env.BLOCKFERRY_STATE_DIR) return env.BLOCKFERRY_STATE_DIR;
  if (uid === 0) return '/var/lib/blockferry';
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'blockferry');
}

interface Entry {
  readonly uri: string;
  readonly domain: { readonly name: string; readonly uuid: string };
  readonly disk: string;
  /** Path of the journal on the domain's host; absent when the journal is the file `.journal` beside this one. */
  readonly journal?: string;
  /** Kept here as well as in the journal: a destination that hangs must not hold a definition back. */
  readonly definition?: SavedDefinition;
}

/** A journal that we have a note of. */
export interface NotedJournal extends JournalPlace {
  /** The note's path, on the machine we run on. */
  readonly note: string;
  /** The connection that the move was begun over. */
  readonly uri: string;
  readonly definition: SavedDefinition | undefined;
}

/** Where the journal of an open migration is. */
export interface MigrationNote {
  readonly domain: { readonly name: string; readonly uuid: string };
  readonly home: string;
  readonly away: string;
  /** On the destination's host. */
  readonly journal: string;
}

/** The images that a domain left at home when it was migrated, as they were then. */
export interface LeftNote {
  /** Of the migration. */
  readonly id: string;
  /** When it ended, as ISO 8601 has it. */
  readonly time: string;
  readonly domain: { readonly name: string; readonly uuid: string };
  /** Connection URIs, and the hosts' UUIDs. */
  readonly home: string;
  readonly away: string;
  readonly hosts: { readonly home: string; readonly away: string };
  readonly images: readonly Readonly<Record<'path' | 'device' | 'inode' | 'mtimeNs', string>>[];
}

export class OpenMoves {
  readonly #host: Host;
  readonly #directory: string;

  /** @param host the machine we run on */
  constructor(host: Host, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /** Where the journal of a move goes whose destination is no file that we can stand beside. */
  placeFor(record: MoveRecord): JournalPlace {
    return { host: this.#host, path: `${this.#base(record)}.journal` };
  }

  /** Notes that a move is open. May be repeated. */
  async note(
    record: MoveRecord,
    uri: string,
    journal: string | undefined,
    definition?: SavedDefinition,
  ): Promise<void> {
    await this.#host.mkdir(this.#directory, { parents: true, mode: 0o700 });
    const { domain, disk } = record;
    const entry: Entry = {
      uri,
      domain,
      disk,
      ...(journal !== undefined && { journal }),
      ...(definition && { definition }),
    };
    await this.#host.writeFileAtomic(`${this.#base(record)}.open`, `${JSON.stringify(entry)}\n`, {
      mode: 0o600,
    });
  }

  /** The definition kept aside for a move in job mode `undefine`. */
  async definition(record: MoveRecord): Promise<SavedDefinition | undefined> {
    if (record.jobMode !== 'undefine') return undefined;
    const text = await this.#host.readFile(`${this.#base(record)}.open`);
    return text === null ? undefined : parseEntry(text)?.definition;
  }

  async forget(record: MoveRecord): Promise<void> {
    await this.#host.unlink(`${this.#base(record)}.open`);
  }

  /**
   * Forgets a move that has ended: its journal is gone, and the process that removed it died before it came to this. A
   * definition that is kept aside stays, and so does what was noted of another host.
   */
  async forgetEnded({ note, uri, definition }: NotedJournal, here: string | undefined): Promise<void> {
    if (uri === (here ?? '') && definition === undefined) await this.#host.unlink(note);
  }

  /** The journals of open moves of one domain (by name or UUID), or of all. */
  async journals(domain: string | undefined, remote: Host | undefined): Promise<NotedJournal[]> {
    if ((await this.#host.stat(this.#directory)) === null) return [];
    const names = (await this.#host.readdir(this.#directory)).filter((name) => name.endsWith('.open'));
    const places: NotedJournal[] = [];
    for (const name of names) {
      const note = join(this.#directory, name);
      const text = await this.#host.readFile(note);
      const entry = text === null ? undefined : parseEntry(text);
      if (entry === undefined) continue;
      if (domain !== undefined && entry.domain.name !== domain && entry.domain.uuid !== domain) continue;
      const noted = { note, uri: entry.uri, definition: entry.definition };
      if (entry.journal === undefined) {
        places.push({ ...noted, host: this.#host, path: note.replace(/\.open$/, '.journal') });
      } else if (remote !== undefined) places.push({ ...noted, host: remote, path: entry.journal });
    }
    return places;
  }

  /** Notes that a migration is open: it may be found from either host while the domain is on the other. May be repeated. */
  async noteMigration(uuid: string, note: MigrationNote): Promise<void> {
    await this.#write(this.#migration(uuid), note);
  }

  async forgetMigration(uuid: string): Promise<void> {
    await this.#host.unlink(this.#migration(uuid));
  }

  /** Of one domain (by name or UUID), or of all. */
  migrations(domain: string | undefined): Promise<MigrationNote[]> {
    return this.#notes<MigrationNote>('.migration', domain);
  }

  /** Notes what a migration that has ended left at home. May be repeated. */
  async noteLeft(note: LeftNote): Promise<void> {
    await this.#write(this.#left(note), note);
  }

  /** How the domain (name or UUID) left the host of this connection last. */
  async leftLast(domain: string, home: string | undefined): Promise<LeftNote | undefined> {
    const notes = (await this.left(domain)).filter((note) => note.home === home);
    return notes.toSorted((one, other) => other.time.localeCompare(one.time))[0];
  }

  async forgetLeft(note: LeftNote): Promise<void> {
    await this.#host.unlink(this.#left(note));
  }

  /** Of one domain (by name or UUID), or of all. */
  left(domain: string | undefined): Promise<LeftNote[]> {
    return this.#notes<LeftNote>('.left', domain);
  }

  async #write(path: string, note: MigrationNote | LeftNote): Promise<void> {
    await this.#host.mkdir(this.#directory, { parents: true, mode: 0o700 });
    await this.#host.writeFileAtomic(path, `${JSON.stringify(note)}\n`, { mode: 0o600 });
  }

  async #notes<T extends MigrationNote | LeftNote>(suffix: string, domain: string | undefined): Promise<T[]> {
    if ((await this.#host.stat(this.#directory)) === null) return [];
    const names = (await this.#host.readdir(this.#directory)).filter((name) => name.endsWith(suffix));
    const notes: T[] = [];
    for (const name of names) {
      const text = await this.#host.readFile(join(this.#directory, name));
      const note = text === null ? undefined : (withDomain(text) as T | undefined);
      if (note === undefined) continue;
      if (domain === undefined || note.domain.name === domain || note.domain.uuid === domain)
        notes.push(note);
    }
    return notes;
  }

  #left({ domain, id }: LeftNote): string {
    return join(this.#directory, `${domain.uuid}-${id}.left`);
  }

  #migration(uuid: string): string {
    return join(this.#directory, `${uuid}.migration`);
  }

  #base(record: MoveRecord): string {
    return join(this.#directory, `${record.domain.uuid}-${record.disk}`);
  }
}

function parseEntry(text: string): Entry | undefined {
  return withDomain(text) as Entry | undefined;
}

function withDomain(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && 'domain' in parsed ? parsed : undefined;
  } catch {
    // A half-written entry cannot be: they are renamed into place. Somebody else's file is none of ours.
    return undefined;
  }
}
