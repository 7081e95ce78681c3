// Listens to libvirt for one move: rings the bell, and notes how the job ended when an event says so.
import type { Connection } from '@blockferry/libvirt';
import type { MoveRecord } from '../model/record.ts';
import type { Memory } from '../observe/memory.ts';
import { type Bell, ringFor } from './bell.ts';
import type { Link } from './link.ts';

export class Watch {
  readonly #link: Link;
  readonly #move: MoveRecord;
  readonly #memory: Memory;
  readonly #bell: Bell;
  #connection: Connection | undefined;

  constructor(link: Link, move: MoveRecord, memory: Memory, bell: Bell) {
    this.#link = link;
    this.#move = move;
    this.#memory = memory;
    this.#bell = bell;
  }

  /** Subscribes on the connection that is in use now, if that has not been done. Call before each look. */
  async listen(): Promise<void> {
    const connection = await this.#link.connection();
    if (connection === this.#connection) return;
    const [jobs, lifecycle] = await Promise.all([
      connection.subscribe('blockJob2'),
      connection.subscribe('lifecycle'),
    ]);
    this.#connection = connection;
    void ringFor(this.#bell, jobs, (event) => {
      if (event.domain.uuid === this.#move.domain.uuid && event.disk === this.#move.disk)
        this.#jobEnded(event.status);
    });
    void ringFor(this.#bell, lifecycle);
  }

  #jobEnded(status: string): void {
    if (status === 'failed') this.#memory.witnessed = 'failed';
    // The event of our own cancel comes ahead of its reply.
    if (status === 'canceled' && this.#memory.witnessed !== 'canceled-by-us')
      this.#memory.witnessed = 'canceled';
  }
}
