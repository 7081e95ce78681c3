// What the rest of the world uses of this folder.
export { type BackupTarget, backupXml, checkpointXml } from './backup-xml.ts';
export {
  type Chain,
  type ChainImage,
  type DiskDefinition,
  type DriverDefinition,
  type MirrorDefinition,
  parseDiskXml,
} from './disk-definition.ts';
export {
  type DiskSource,
  type DiskSourceKind,
  describeSource,
  type NetworkSource,
  type NvmeSource,
  type SourceDetails,
  type SourceHost,
  type StorageSlice,
  sameSource,
  type VolumeSource,
} from './disk-source.ts';
export { DomainXml, type NvramDefinition, type TpmDefinition } from './domain-xml.ts';
export { DomainXmlError, type DomainXmlErrorCode } from './errors.ts';
export { type VolumePlace, volumesOf } from './place-volumes.ts';
export { type SnapshotImage, type SnapshotMode, SnapshotXml } from './snapshot-xml.ts';
export {
  type PoolTarget,
  poolTarget,
  type SnapshotDisk,
  type SnapshotFile,
  type SnapshotFiles,
  snapshotFiles,
  snapshotXml,
  volumeXml,
} from './storage-xml.ts';
export type { XmlNode } from './tree.ts';
export { type Backing, type DiskElementOptions, diskElement, sourceElement } from './write-source.ts';
