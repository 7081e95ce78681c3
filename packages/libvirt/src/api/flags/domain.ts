// Flags and numbers of the domain calls (libvirt/libvirt-domain.h). Combine with `|`.

export const DomainListFlags = {
  ACTIVE: 1,
  INACTIVE: 2,
  PERSISTENT: 4,
  TRANSIENT: 8,
  RUNNING: 16,
  PAUSED: 32,
  SHUTOFF: 64,
  OTHER: 128,
  HAS_SNAPSHOT: 4096,
} as const;

export const DomainXmlFlags = {
  /** Includes passwords; refused over a read-only connection. */
  SECURE: 1,
  /** The persistent definition, what the next boot uses. */
  INACTIVE: 2,
  UPDATE_CPU: 4,
  MIGRATABLE: 8,
} as const;

/** What a change applies to: the running domain, its persistent definition, or both (LIVE | CONFIG). */
export const DomainAffectFlags = { CURRENT: 0, LIVE: 1, CONFIG: 2 } as const;

export const DomainDefineFlags = { VALIDATE: 1 } as const;

export const DomainUndefineFlags = {
  MANAGED_SAVE: 1,
  SNAPSHOTS_METADATA: 2,
  NVRAM: 4,
  KEEP_NVRAM: 8,
  CHECKPOINTS_METADATA: 16,
  TPM: 32,
  KEEP_TPM: 64,
} as const;

export const DomainCreateFlags = {
  PAUSED: 1,
  /** The domain dies with the connection that started it. */
  AUTODESTROY: 2,
  BYPASS_CACHE: 4,
  FORCE_BOOT: 8,
  VALIDATE: 16,
  RESET_NVRAM: 32,
} as const;

export const DomainDestroyFlags = {
  /** SIGTERM only; fails rather than using SIGKILL. */
  GRACEFUL: 1,
} as const;

export const DomainShutdownFlags = { ACPI_POWER_BTN: 1, GUEST_AGENT: 2 } as const;

export const DomainMetadataType = { DESCRIPTION: 0, TITLE: 1, ELEMENT: 2 } as const;

export const DomainStatsTypes = {
  STATE: 1,
  CPU_TOTAL: 2,
  BALLOON: 4,
  VCPU: 8,
  INTERFACE: 16,
  BLOCK: 32,
  PERF: 64,
  IOTHREAD: 128,
  MEMORY: 256,
  DIRTYRATE: 512,
  VM: 1024,
} as const;

export const DomainStatsFlags = {
  ...DomainListFlags,
  /** Skips what a busy domain would make us wait for. */
  NOWAIT: 0x2000_0000,
  /** Every image of the backing chain, not the active one only. */
  BACKING: 0x4000_0000,
  ENFORCE_STATS: 0x8000_0000,
} as const;

export const DomainJobStatsFlags = {
  /** The last job that is over. Reading it once forgets it. */
  COMPLETED: 1,
  /** With COMPLETED: do not forget it. */
  KEEP_COMPLETED: 2,
} as const;

export const DomainMigrateFlags = {
  LIVE: 1,
  PEER2PEER: 2,
  TUNNELLED: 4,
  PERSIST_DEST: 8,
  UNDEFINE_SOURCE: 16,
  PAUSED: 32,
  NON_SHARED_DISK: 64,
  NON_SHARED_INC: 128,
  CHANGE_PROTECTION: 256,
  UNSAFE: 512,
  OFFLINE: 1024,
  COMPRESSED: 2048,
  ABORT_ON_ERROR: 4096,
  AUTO_CONVERGE: 8192,
  RDMA_PIN_ALL: 16_384,
  POSTCOPY: 32_768,
  TLS: 65_536,
  PARALLEL: 131_072,
  NON_SHARED_SYNCHRONOUS_WRITES: 262_144,
  POSTCOPY_RESUME: 524_288,
  ZEROCOPY: 1_048_576,
} as const;

/** VIR_DRV_FEATURE numbers, for `Connection.supportsFeature`. */
export const DriverFeature = {
  MIGRATION_V2: 3,
  MIGRATION_P2P: 4,
  MIGRATION_DIRECT: 5,
  MIGRATION_V3: 6,
  MIGRATE_CHANGE_PROTECTION: 7,
  FD_PASSING: 8,
  TYPED_PARAM_STRING: 9,
  PROGRAM_KEEPALIVE: 10,
  XML_MIGRATABLE: 11,
  MIGRATION_OFFLINE: 12,
  MIGRATION_PARAMS: 13,
  REMOTE_EVENT_CALLBACK: 14,
  REMOTE_CLOSE_CALLBACK: 15,
} as const;
