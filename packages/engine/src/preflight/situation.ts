// Everything preflight looks at: read once, before the checks, and without touching anything.
import {
  type Connection,
  type DiskDefinition,
  type Domain,
  type DomainXml,
  ErrorCode,
  isLibvirtError,
} from '@blockferry/libvirt';
import { BrokenChain, type ChainImage, type Host, QemuImgError, UndeclaredFormat } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import { checkpointsOf, countOn } from '../observe/checkpoints.ts';
import { type Definitions, readDefinitions } from '../observe/definitions.ts';
import { readUsage, type Usage } from '../observe/usage.ts';
import { readMetadata } from '../record/metadata.ts';
import { readDiskChain } from '../storage/disk-chain.ts';
import { passphraseOf } from '../storage/passphrase.ts';
import { mustBeToldChain } from './told-chain.ts';
import { capacityOf, mustKnowVolumes } from './volume-source.ts';

export interface Situation {
  readonly connection: Connection;
  readonly host: Host | undefined;
  readonly definitions: Definitions;
  /** The live definition; of a domain that is off, the persistent one. */
  readonly live: DomainXml;
  readonly disk: DiskDefinition;
  /** The chain as its images tell it, top first; undefined where we cannot run tools on the host. */
  readonly chain: readonly ChainImage[] | undefined;
  /** Bytes the guest sees. */
  readonly capacity: Bytes;
  readonly usage: Usage;
  /** A block job on the disk, whosever. */
  readonly job: string | undefined;
  readonly backupRuns: boolean;
  readonly checkpoints: number;
  /** Of these, those that record what changes on the disk. */
  readonly recorded: number;
  /** Moves of this domain's disks that have not ended. */
  readonly open: readonly MoveRecord[];
  readonly libVersion: bigint;
  /** libvirt tells us the passphrases of all images of the disk. */
  readonly secretsTold: boolean;
}

/** Finds a domain by UUID, by name, or else by its id. @throws Refusal `no-such-domain` */
export async function findDomain(connection: Connection, given: string): Promise<Domain> {
  try {
    return await lookUp(connection, given);
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_DOMAIN)) throw error;
    const hint = 'blockferry list shows the domains of this connection';
    throw new Refusal('no-such-domain', `there is no domain ${given}`, { domain: given }, hint, {
      cause: error,
    });
  }
}

/** A name goes before an id, which is another domain's after its next start. */
async function lookUp(connection: Connection, given: string): Promise<Domain> {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given)) {
    return connection.lookupDomainByUuid(given.toLowerCase());
  }
  try {
    return await connection.lookupDomainByName(given);
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_DOMAIN) || !isDomainId(given)) throw error;
    return connection.lookupDomainById(Number(given));
  }
}

/** libvirt's protocol has ids as int32. */
function isDomainId(given: string): boolean {
  return /^[1-9]\d{0,9}$/.test(given) && Number(given) < 2 ** 31;
}

/** @throws Refusal when the domain or disk is not there or not in a state that can be moved. */
export async function gather(
  connection: Connection,
  host: Host | undefined,
  request: { readonly domain: string; readonly disk: string },
): Promise<Situation> {
  const { uuid } = await findDomain(connection, request.domain);
  const definitions = await readDefinitions(connection, uuid);
  // Of a domain that is off, what it would start with.
  const live = definitions?.live ?? definitions?.config;
  if (definitions === undefined || live === undefined) throw new Error(`${request.domain} is gone`);
  const disk = findDisk(live, request.disk);
  // libvirt has no block information on an empty drive.
  if (disk.source === undefined) {
    const facts = { disk: disk.target };
    throw new Refusal(
      'not-a-disk',
      `${disk.target} of ${live.name} has no medium: only disks are moved or copied`,
      facts,
    );
  }
  await mustKnowVolumes(connection, definitions, disk);
  const { domain } = definitions;
  const [chain, info, capacity, usage, backupRuns, checkpoints, libVersion, secretsTold] = await Promise.all([
    host && chainOf(host, disk),
    definitions.running ? domain.blockJobInfo(disk.target) : null,
    capacityOf(connection, definitions, disk),
    readUsage(connection, host),
    definitions.running && backupUnderWay(domain),
    checkpointsOf(domain),
    connection.libVersion(),
    areSecretsTold(connection, disk),
  ]);
  return {
    connection,
    host,
    definitions,
    live,
    disk,
    chain,
    capacity: chain?.[0]?.virtualSize ?? capacity,
    usage,
    job: disk.mirror?.job ?? info?.type,
    backupRuns,
    checkpoints: checkpoints.length,
    recorded: await countOn(checkpoints, disk.target),
    open: openMovesIn(definitions),
    libVersion,
    secretsTold,
  };
}

/** Private ones QEMU gets from libvirt, and nobody else does. */
async function areSecretsTold(connection: Connection, { chain }: DiskDefinition): Promise<boolean> {
  const encryptions = new Set(chain.map(({ source }) => source.encryption));
  for (const encryption of encryptions) {
    if (encryption === undefined) continue;
    if ((await passphraseOf(connection, encryption)) === undefined) return false;
  }
  return true;
}

/** Of every disk that the domain has now. @throws RecordUnreadable */
export function openMovesIn({ live, config }: Pick<Definitions, 'live' | 'config'>): MoveRecord[] {
  return ((live ?? config)?.disks() ?? []).flatMap(({ target }) => {
    const stored = (live && readMetadata(live, target)) ?? (config && readMetadata(config, target));
    return stored === undefined ? [] : [stored.record];
  });
}

/** @throws Refusal `no-such-disk`, naming those there are */
export function findDisk(live: DomainXml, name: string): DiskDefinition {
  const disks = live.disks();
  const found = disks.find(
    ({ target, source }) =>
      target === name || ((source?.kind === 'file' || source?.kind === 'block') && source.path === name),
  );
  if (found !== undefined) return found;
  const targets = disks.map((disk) => disk.target);
  throw new Refusal(
    'no-such-disk',
    `${live.name} has no disk ${name}`,
    { domain: live.name, disk: name, disks: targets },
    `its disks are: ${targets.join(', ') || 'none'}`,
  );
}

/** The disk that the firmware tries first: by its boot order, else the first in the definition. @throws Refusal `no-such-disk` */
export function findBootDisk(live: DomainXml): DiskDefinition {
  const disks = live
    .disks()
    .filter(({ device, source }) => device !== 'cdrom' && device !== 'floppy' && source);
  const orderOf = ({ bootOrder = Infinity }: DiskDefinition) => bootOrder;
  const [first] = disks.sort((a, b) => (orderOf(a) === orderOf(b) ? 0 : orderOf(a) - orderOf(b)));
  if (first !== undefined) return first;
  throw new Refusal('no-such-disk', `${live.name} has no disk`, { domain: live.name });
}

async function chainOf(host: Host, disk: DiskDefinition): Promise<readonly ChainImage[] | undefined> {
  if (disk.chain.length === 0) return undefined;
  try {
    const chain = await readDiskChain(host, disk);
    await mustBeToldChain(host, disk, chain);
    return chain;
  } catch (error) {
    if (error instanceof UndeclaredFormat)
      throw new Refusal('format-undeclared', error.message, {}, error.hint, { cause: error });
    if (error instanceof BrokenChain || error instanceof QemuImgError) {
      throw new Refusal('chain-broken', error.message, {}, error.hint, { cause: error });
    }
    throw error;
  }
}

async function backupUnderWay(domain: Definitions['domain']): Promise<boolean> {
  try {
    await domain.backupGetXmlDesc();
    return true;
  } catch (error) {
    // No backup job, or a daemon that does not know them.
    const none =
      isLibvirtError(error, ErrorCode.NO_DOMAIN_BACKUP) ||
      isLibvirtError(error, ErrorCode.NO_SUPPORT) ||
      isLibvirtError(error, ErrorCode.RPC);
    if (none) return false;
    throw error;
  }
}
