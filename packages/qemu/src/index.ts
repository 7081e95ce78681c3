// Public surface of this package.

export { type ChainView, viewChain } from './guestfish/chain-view.ts';
export {
  Guestfish,
  GuestfishError,
  guestfishPackages,
} from './guestfish/guestfish.ts';
export { errnoOf, FileError, type FileErrorCode, HostError, type HostErrorCode } from './host/errors.ts';
export { firstWords } from './host/first-words.ts';
export type {
  Exit,
  FileOptions,
  FileStat,
  FileSystemStat,
  FileType,
  Forward,
  Host,
  HostProcess,
  RunOptions,
  RunResult,
  SpawnOptions,
  StorageProbe,
} from './host/host.ts';
export { localHost } from './host/local.ts';
export { type ScratchDirectory, scratchDirectory } from './host/scratch-directory.ts';
export { quoteArgument, quoteCommand } from './host/shell.ts';
export { sshHost } from './host/ssh.ts';
export type { SshDestination } from './host/ssh-connection.ts';
export { yielding } from './host/yielding.ts';
export { type BackingReference, resolveBackingReference, toRelativeReference } from './image/backing.ts';
export {
  type Blockdev,
  type BlockdevTreeOptions,
  hasBacking,
  tlsObject,
  toBlockdev,
  toJsonFilename,
  toObjectArguments,
} from './image/blockdev.ts';
export { imageFromJson, type ParsedJsonFilename, parseJsonFilename } from './image/json-filename.ts';
export {
  type BlockLocation,
  type FileLocation,
  formatHostPort,
  formatLocation,
  type Image,
  type JsonLocation,
  type Location,
  type NbdLocation,
  type NbdServer,
  type RbdLocation,
  sameLocation,
  type TlsCredentials,
} from './image/location.ts';
export { Passphrase } from './image/passphrase.ts';
export { parseImageUri, protocolOf, toCreatableName, UnknownImageName } from './image/uri.ts';
export {
  type ExactJson,
  formatExactJson,
  isJsonObject,
  type JsonInput,
  type JsonObject,
  parseExactJson,
} from './json/exact-json.ts';
export { type DestinationProbe, probeDestination, takesTwoClients } from './probe/destination.ts';
export { hasWriter, type Writer } from './probe/writer.ts';
export {
  type CarriedBitmaps,
  continueBitmaps,
  gatherBitmaps,
  mergeBitmaps,
  repairBitmaps,
} from './qemu-img/bitmap.ts';
export {
  type ChainImage,
  followBacking,
  type ImageHeader,
  type ReadChainOptions,
  readChain,
  readHeader,
} from './qemu-img/chain.ts';
export { type CheckResult, check } from './qemu-img/check.ts';
export { commit } from './qemu-img/commit.ts';
export { type CompareOptions, type Comparison, chainName, compare } from './qemu-img/compare.ts';
export { type ConvertOptions, convert } from './qemu-img/convert.ts';
export { type CreateOptions, create, toReference } from './qemu-img/create.ts';
export { BrokenChain, QemuImgError, type QemuImgErrorCode, UndeclaredFormat } from './qemu-img/errors.ts';
export {
  type ImageInfo,
  type InternalSnapshot,
  info,
  type PersistentBitmap,
} from './qemu-img/info.ts';
export type { LongOptions, OnProgress, QuickOptions } from './qemu-img/invoke.ts';
export { type MapExtent, type MapOptions, map } from './qemu-img/map.ts';
export { type Measure, type MeasureOptions, measure } from './qemu-img/measure.ts';
export { type NewBacking, rebase, relinkBacking } from './qemu-img/rebase.ts';
export { resize } from './qemu-img/resize.ts';
export { type Secrets, secretsFor } from './qemu-img/secrets.ts';
export { type ExecuteOptions, QmpClient, type QmpOptions } from './qmp/client.ts';
export {
  type BackupArguments,
  type BlockJobInfo,
  isQmpEvent,
  type JobInfo,
  type JobStatus,
  type ListenAddress,
  type NbdExportOptions,
  type NodeOptions,
  type QmpCommands,
  type QmpEventData,
} from './qmp/commands.ts';
export { QmpAbandoned, QmpCommandError, QmpConnectionError, QmpEventOverflow } from './qmp/errors.ts';
export type { EventQueue } from './qmp/events.ts';
export type { QemuVersion, QmpEvent } from './qmp/messages.ts';
export { connectQmp } from './qmp/unix-socket.ts';
export { lookAtRbd, type RbdLook } from './rbd/look.ts';
export { RbdError, type RbdRemoval, type RbdUse, rbdRemoval, rbdUse, removeRbd } from './rbd/tool.ts';
export { addPassphrases } from './storage-daemon/passphrases.ts';
export {
  type StorageDaemon,
  StorageDaemonError,
  type StorageDaemonOptions,
  startStorageDaemon,
} from './storage-daemon/start.ts';
