// Flags of block jobs, snapshots, checkpoints, backups and storage (libvirt/libvirt-{domain,storage}*.h).

export const DomainBlockCopyFlags = {
  /** Copies the top image only; the destination keeps the source's backing file. */
  SHALLOW: 1,
  /** Writes into an existing destination instead of creating one. */
  REUSE_EXT: 2,
  /** Allows the job on a persistent domain (libvirt 3.5): it does not survive a restart of the domain. */
  TRANSIENT_JOB: 4,
  /** The guest's writes wait for the destination, which makes the job converge (libvirt 8.0). */
  SYNCHRONOUS_WRITES: 8,
  /** The destination reads as zeros already (libvirt 12.2). */
  TARGET_ZEROED: 16,
} as const;

export const DomainBlockJobAbortFlags = {
  /** Returns before the job is gone. */
  ASYNC: 1,
  /** Switches the domain to the copy. */
  PIVOT: 2,
} as const;

export const DomainBlockCommitFlags = { SHALLOW: 1, DELETE: 2, ACTIVE: 4, RELATIVE: 8 } as const;

export const DomainBlockRebaseFlags = {
  SHALLOW: 1,
  REUSE_EXT: 2,
  COPY_RAW: 4,
  COPY: 8,
  RELATIVE: 16,
  COPY_DEV: 32,
} as const;

export const DomainBlockResizeFlags = {
  /** Grows to the size of the block device below (libvirt 10.0); the size given must be 0. */
  CAPACITY: 2,
  /** Refuses to shrink (libvirt 12.3). */
  EXTEND: 4,
} as const;

export const DomainSnapshotCreateFlags = {
  REDEFINE: 1,
  CURRENT: 2,
  NO_METADATA: 4,
  HALT: 8,
  DISK_ONLY: 16,
  REUSE_EXT: 32,
  QUIESCE: 64,
  ATOMIC: 128,
  LIVE: 256,
  VALIDATE: 512,
} as const;

/** SECURE: with passwords. A definition that is given back without them loses them. */
export const DomainSnapshotXmlFlags = { SECURE: 1 } as const;

export const DomainSnapshotDeleteFlags = { CHILDREN: 1, METADATA_ONLY: 2, CHILDREN_ONLY: 4 } as const;

export const DomainCheckpointCreateFlags = { REDEFINE: 1, QUIESCE: 2, REDEFINE_VALIDATE: 4 } as const;

export const DomainCheckpointXmlFlags = { SECURE: 1, NO_DOMAIN: 2, SIZE: 4 } as const;

export const DomainCheckpointDeleteFlags = { CHILDREN: 1, METADATA_ONLY: 2, CHILDREN_ONLY: 4 } as const;

export const DomainBackupBeginFlags = {
  REUSE_EXTERNAL: 1,
  /** libvirt 11.10: the guest's shutdown waits for the backup. */
  PRESERVE_SHUTDOWN_DOMAIN: 2,
} as const;

export const StoragePoolCreateFlags = {
  WITH_BUILD: 1,
  WITH_BUILD_OVERWRITE: 2,
  WITH_BUILD_NO_OVERWRITE: 4,
} as const;

export const StorageVolumeCreateFlags = { PREALLOC_METADATA: 1, REFLINK: 2, VALIDATE: 4 } as const;

export const StorageVolumeDeleteFlags = { ZEROED: 1, WITH_SNAPSHOTS: 2 } as const;

export const StorageVolumeResizeFlags = { ALLOCATE: 1, DELTA: 2, SHRINK: 4 } as const;
