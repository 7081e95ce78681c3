// The record of a migration: what is intended, which files are ours, and the phase that was intended last. It travels in
// the domain's own metadata, and stands in the journal beside the copies.
import type { GuardBound } from '../model/guard-bound.ts';
import type { ImageRef, Layer } from '../model/record.ts';
import type { BytesPerSecond } from '../model/units.ts';

/**
 * The phase intended last. It is written before the first step that belongs to it.
 *
 * - `freezing`:   entry: preflight passed. Exit: the guest is on its overlays. (Not of a domain that is off.)
 * - `copying`:    entry: the images below do not change. Exit: every copy is complete and linked.
 * - `crossing`:   entry: the overlays at the destination are empty, their chains complete. Exit: QEMU has come there whole,
 *   and stands still. Until then nothing ran there, so the way back is open whatever died.
 * - `arriving`:   entry: it has come. The order to run there (of a domain that is off: to define it there) follows; from
 *   here on what is there may be newer than what is at home, and nobody goes back.
 * - `collapsing`: entry: it runs there. Exit: it is nowhere else, and its overlays are committed.
 * - `settling`:   entry: as it was, but there. Exit: record gone.
 * - `undoing`:    entry: abort was asked for. Exit: the overlays are committed back, the copies removed, record gone.
 */
export type MigrationPhase =
  | 'freezing'
  | 'copying'
  | 'crossing'
  | 'arriving'
  | 'collapsing'
  | 'settling'
  | 'undoing';

/** Where the operator wants it. */
export type MigrationGoal = 'away' | 'home';

export interface MigratedDisk {
  /** Its target dev, such as `vda`. */
  readonly target: string;
  /** The active image at home before. */
  readonly origin: ImageRef;
  /** Images at home (`from`) and what becomes of them at the destination (`to`); top first. */
  readonly layers: readonly [Layer, ...Layer[]];
  /** Bases that another migration has brought there already, or a disk before this one brings; top first. */
  readonly shared: readonly Layer[];
  /** Takes the guest's writes while the images below are copied, at home and then at the destination. */
  readonly overlay: { readonly home: ImageRef; readonly away: ImageRef };
}

export interface TlsOption {
  /** How home reaches the destination: its copies go there. */
  readonly host: string;
  /** The name in the destination's certificate, if it is another. */
  readonly name?: string;
}

export interface MigrationOptions {
  readonly verify: boolean;
  /** How slow the guest's writes may become while images are copied; undefined: that is not looked at. */
  readonly guard?: GuardBound;
  readonly bandwidth?: BytesPerSecond;
  /** Where QEMU sends the memory, as for virsh. */
  readonly migrateUri?: string;
  readonly autoConverge: boolean;
  /** Copies, memory and overlays go by TLS, with the certificates that libvirt gives to QEMU for migrations. */
  readonly tls?: TlsOption;
}

/** What a domain keeps beside its disks, under one path on both hosts: a directory, and a file. */
export interface DomainState {
  readonly kind: 'tpm' | 'nvram';
  readonly path: string;
}

export interface MigrationRecord {
  readonly version: 1;
  /** Random, names the migration in the record, the journal and on screen. */
  readonly id: string;
  readonly domain: { readonly name: string; readonly uuid: string };
  /** `offline`: the domain is off, and stays off. */
  readonly mode: 'live' | 'offline';
  /** Connection URIs, as the one who began it had them: from another machine they may lead elsewhere. */
  readonly home: string;
  readonly away: string;
  /** The hosts' UUIDs, by which libvirt tells them apart. */
  readonly hosts: { readonly home: string; readonly away: string };
  readonly disks: readonly [MigratedDisk, ...MigratedDisk[]];
  readonly autostart: boolean;
  /** Those that we bring (see state.ts). */
  readonly states: readonly DomainState[];
  readonly options: MigrationOptions;
  readonly phase: MigrationPhase;
  readonly goal: MigrationGoal;
  /** Grows with each write: where the places of the record disagree, the highest is what was intended last. */
  readonly revision: number;
  /** Why `goal` became `home`, when it was not the operator's wish. */
  readonly reason?: string;
}

/** From here on what is at the destination may be newer than what is at home. */
export function mayHaveRunAway({ phase }: Pick<MigrationRecord, 'phase'>): boolean {
  return phase === 'arriving' || phase === 'collapsing' || phase === 'settling';
}

/** Its images below the overlay at one end, the one that was active first. */
export function chainAt({ layers, shared }: MigratedDisk, end: 'home' | 'away'): [ImageRef, ...ImageRef[]] {
  const [top, ...below] = layers;
  const at = ({ from, to }: Layer) => (end === 'home' ? from : to);
  return [at(top), ...[...below, ...shared].map(at)];
}

/** Every copy that the migration makes. */
export function copiesOf({ disks }: Pick<MigrationRecord, 'disks'>): readonly ImageRef[] {
  return disks.flatMap(({ layers }) => layers.map(({ to }) => to));
}

/** A migration knows files only. */
export function pathOf({ source }: ImageRef): string {
  if (source.kind !== 'file') throw new Error('a migration copies files');
  return source.path;
}
