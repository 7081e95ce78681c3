// Public surface of this package.

export { CephCluster, type CephOptions, startCeph } from './ceph/cluster.ts';
export { type PullBackup, pullBackup } from './clients/pull-backup.ts';
export { seeded } from './crash/seeded.ts';
export {
  FaultyBlockDevice,
  faultyBlockDevice,
  LoopDevice,
  loopDevice,
} from './faults/block-device.ts';
export { type FileSystemOptions, SmallFileSystem, smallFileSystem } from './faults/file-system.ts';
export {
  FaultyNbdServer,
  type FaultyNbdServerOptions,
  faultyNbdServer,
  freePort,
  type NbdAddress,
  NbdServer,
  type NbdServerOptions,
  nbdServer,
} from './faults/nbd-server.ts';
export { type AgentGuest, agentDomainXml, agentSaid } from './guest/agent.ts';
export type { Found, WriterPlan } from './guest/blocks.ts';
export {
  type DiskSource,
  type DiskSpec,
  type DomainSpec,
  diskXml,
  domainXml,
  fioParameter,
  type GuestWriter,
} from './guest/domain-xml.ts';
export {
  Guest,
  type GuestSpec,
  type GuestStats,
  guestWriter,
  type Region,
  startGuest,
} from './guest/guest.ts';
export type { Latencies } from './guest/latencies.ts';
export type { Acknowledged, BadReadback, DiskError, Life } from './guest/report.ts';
export {
  type Lost,
  lostOnDisk,
  newestBlock,
  type Verification,
  type VerifiedImage,
  verifyAcknowledged,
} from './guest/verify.ts';
export { type Chain, type ChainOptions, makeChain, writerRegion } from './images/chain.ts';
export { defineSecret, makeEncrypted, quickKeys } from './images/encrypted.ts';
export { listFiles, makeFileSystem, putFile, putFileFrom, readTextFile } from './images/files.ts';
export { type Image, withRawView } from './images/raw-view.ts';
export { LibvirtHost, type LibvirtHostOptions, startLibvirtHost } from './libvirt-host/host.ts';
export { type AskBackup, type Backed, backUp, checkAll, topOf } from './move/backups.ts';
export { startsCounted, writeCountingFirmware } from './move/counting-firmware.ts';
export { agree, apartFrom, type DefinitionTexts, readTexts } from './move/definitions.ts';
export { type Footprint, footprint } from './move/footprint.ts';
export { type IdleSpec, idleXml, removeIdle, startIdle } from './move/idle-domain.ts';
export { backupSince, writeAsGuest } from './move/incremental-backup.ts';
export { type Ask, type AskGroup, type Moved, Mover, type MoverOptions } from './move/mover.ts';
export {
  fileAt,
  MovingGuest,
  type MovingGuestOptions,
  type Place,
  startMovingGuest,
} from './move/moving-guest.ts';
export { verifyWhilePaused } from './move/verify-paused.ts';
export { makeCertificates } from './network/certificates.ts';
export { type Sshd, startSshd, writeNetcat } from './network/sshd.ts';
export { RunError, type RunOptions, type RunResult, run } from './process/run.ts';
export { until } from './process/until.ts';
