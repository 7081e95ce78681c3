// A volume of a storage pool.

import { word } from '../../events/names.ts';
import { pools, volumes } from '../../procedures/storage.ts';
import type { VolumeRef } from '../../procedures/types.ts';
import type { RpcConnection } from '../../rpc/connection.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import type { Lanes } from '../../rpc/lanes.ts';
import type { RpcStream } from '../../rpc/stream.ts';

const TYPES = ['file', 'block', 'dir', 'network', 'netdir', 'ploop'] as const;

export interface StorageVolumeInfo {
  readonly type: (typeof TYPES)[number] | 'unknown';
  /** Virtual size in bytes. */
  readonly capacity: bigint;
  /** Bytes that it takes up. */
  readonly allocation: bigint;
}

const GET_PHYSICAL = 1;

/** A part of a volume, in bytes; without `length` all from `offset`. */
export interface VolumeRange {
  readonly offset?: bigint;
  readonly length?: bigint;
}

export class StorageVolume {
  readonly name: string;
  readonly key: string;
  /** The name of the pool. */
  readonly pool: string;
  readonly #lanes: Lanes;
  readonly #ref: VolumeRef;

  constructor(lanes: Lanes, ref: VolumeRef) {
    this.name = ref.name;
    this.key = ref.key;
    this.pool = ref.pool;
    this.#lanes = lanes;
    this.#ref = ref;
  }

  async info(options?: CallOptions): Promise<StorageVolumeInfo> {
    const { type, capacity, allocation } = await this.#lanes.call(
      volumes.info,
      { volume: this.#ref },
      options,
    );
    return { type: word(TYPES, type), capacity, allocation };
  }

  /** The bytes of the file or device that holds the volume, which for qcow2 is not what it takes up. */
  async physicalBytes(options?: CallOptions): Promise<bigint> {
    const args = { volume: this.#ref, flags: GET_PHYSICAL };
    return (await this.#lanes.call(volumes.infoFlags, args, options)).allocation;
  }

  async getXmlDesc(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#lanes.call(volumes.xml, { volume: this.#ref, flags }, options)).xml;
  }

  /** Where the volume is on the host: a path, or for network pools a name. */
  async getPath(options?: CallOptions): Promise<string> {
    return (await this.#lanes.call(volumes.path, { volume: this.#ref }, options)).path;
  }

  /** The uuid of the pool it is in. */
  async poolUuid(options?: CallOptions): Promise<string> {
    return (await this.#lanes.call(pools.byVolume, { volume: this.#ref }, options)).pool.uuid;
  }

  async resize(capacity: bigint, flags = 0, options?: CallOptions): Promise<void> {
    await this.#lanes.call(volumes.resize, { volume: this.#ref, capacity, flags }, options);
  }

  /** Deletes the volume and its data; `flags` of StorageVolumeDeleteFlags. No default deadline. */
  async delete(flags = 0, options?: CallOptions): Promise<void> {
    await this.#lanes.call(volumes.delete, { volume: this.#ref, flags }, options);
  }

  /**
   * Writes `data` into the volume. Resolves when the daemon has confirmed all of it; returns the bytes sent.
   * Runs on a connection of its own. After a failure the volume holds part of the data.
   */
  async upload(
    data: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    range: VolumeRange = {},
    options?: CallOptions,
  ): Promise<bigint> {
    let sent = 0n;
    await this.#streaming(volumes.upload, range, options, async (stream) => {
      for await (const piece of data) {
        await stream.write(piece);
        sent += BigInt(piece.byteLength);
      }
      await stream.finish();
    });
    return sent;
  }

  /** Reads the volume piece by piece, no faster than they are taken. Runs on a connection of its own. */
  async *download(range: VolumeRange = {}, options?: CallOptions): AsyncGenerator<Uint8Array, void, void> {
    const { connection, stream, release } = await this.#open(volumes.download, range, options);
    try {
      yield* stream.read();
      await stream.finish();
    } finally {
      release();
      connection.end();
    }
  }

  async #streaming(
    procedure: typeof volumes.upload,
    range: VolumeRange,
    options: CallOptions | undefined,
    body: (stream: RpcStream) => Promise<void>,
  ): Promise<void> {
    const { connection, stream, release } = await this.#open(procedure, range, options);
    try {
      await body(stream);
    } catch (error) {
      stream.abort(error);
      throw error;
    } finally {
      release();
      connection.end();
    }
  }

  /** Opens the stream; the signal aborts it at any time until `release`. The deadline is for the opening. */
  async #open(
    procedure: typeof volumes.upload,
    range: VolumeRange,
    options: CallOptions | undefined,
  ): Promise<{ connection: RpcConnection; stream: RpcStream; release: () => void }> {
    const { offset = 0n, length = 0n } = range;
    const signal = options?.signal;
    const connection = await this.#lanes.openExclusive();
    try {
      signal?.throwIfAborted();
      const stream = await connection.openStream(
        procedure,
        { volume: this.#ref, offset, length, flags: 0 },
        options,
      );
      const onAbort = () => stream.abort(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      return { connection, stream, release: () => signal?.removeEventListener('abort', onAbort) };
    } catch (error) {
      connection.end();
      throw error;
    }
  }
}
