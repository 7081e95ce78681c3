// A storage pool.

import { word } from '../../events/names.ts';
import { pools, volumes } from '../../procedures/storage.ts';
import type { PoolRef } from '../../procedures/types.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import type { Lanes } from '../../rpc/lanes.ts';
import { StorageVolume } from './volume.ts';

const STATES = ['inactive', 'building', 'running', 'degraded', 'inaccessible'] as const;

export interface StoragePoolInfo {
  readonly state: (typeof STATES)[number] | 'unknown';
  /** Bytes, as all of these. */
  readonly capacity: bigint;
  readonly allocation: bigint;
  readonly available: bigint;
}

export class StoragePool {
  readonly name: string;
  readonly uuid: string;
  readonly #lanes: Lanes;
  readonly #ref: PoolRef;

  constructor(lanes: Lanes, ref: PoolRef) {
    this.name = ref.name;
    this.uuid = ref.uuid;
    this.#lanes = lanes;
    this.#ref = ref;
  }

  /** What the protocol calls this pool. */
  get ref(): PoolRef {
    return this.#ref;
  }

  async getXmlDesc(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#lanes.call(pools.xml, { pool: this.#ref, flags }, options)).xml;
  }

  /** As of the last refresh. */
  async info(options?: CallOptions): Promise<StoragePoolInfo> {
    const { state, ...sizes } = await this.#lanes.call(pools.info, { pool: this.#ref }, options);
    return { state: word(STATES, state), ...sizes };
  }

  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.#lanes.call(pools.isActive, { pool: this.#ref }, options)).active;
  }

  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.#lanes.call(pools.isPersistent, { pool: this.#ref }, options)).persistent;
  }

  /** Looks again at what is in the pool: libvirt does not notice files made without it. */
  async refresh(options?: CallOptions): Promise<void> {
    await this.#lanes.call(pools.refresh, { pool: this.#ref, flags: 0 }, options);
  }

  /** Starts a defined pool; `flags` of StoragePoolCreateFlags. */
  async create(flags = 0, options?: CallOptions): Promise<void> {
    await this.#lanes.call(pools.create, { pool: this.#ref, flags }, options);
  }

  /** Makes what the pool stands on: the directory, the file system. No default deadline. */
  async build(flags = 0, options?: CallOptions): Promise<void> {
    await this.#lanes.call(pools.build, { pool: this.#ref, flags }, options);
  }

  /** Stops the pool; its data stays. A transient pool is forgotten. */
  async destroy(options?: CallOptions): Promise<void> {
    await this.#lanes.call(pools.destroy, { pool: this.#ref }, options);
  }

  async undefine(options?: CallOptions): Promise<void> {
    await this.#lanes.call(pools.undefine, { pool: this.#ref }, options);
  }

  async listAllVolumes(options?: CallOptions): Promise<readonly StorageVolume[]> {
    const args = { pool: this.#ref, needResults: 1, flags: 0 };
    const reply = await this.#lanes.call(pools.listAllVolumes, args, options);
    return reply.volumes.map((ref) => new StorageVolume(this.#lanes, ref));
  }

  /** @throws LibvirtError NO_STORAGE_VOL when the pool knows none of that name. */
  async lookupVolumeByName(name: string, options?: CallOptions): Promise<StorageVolume> {
    const { volume } = await this.#lanes.call(volumes.byName, { pool: this.#ref, name }, options);
    return new StorageVolume(this.#lanes, volume);
  }

  /**
   * Creates a volume; `flags` of StorageVolumeCreateFlags. No default deadline: preallocation takes its time.
   *
   * @throws LibvirtError STORAGE_VOL_EXIST when the name is taken.
   */
  async createVolumeXml(xml: string, flags = 0, options?: CallOptions): Promise<StorageVolume> {
    const { volume } = await this.#lanes.call(volumes.createXml, { pool: this.#ref, xml, flags }, options);
    return new StorageVolume(this.#lanes, volume);
  }
}
