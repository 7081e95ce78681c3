// What libvirt knows of the images on its host: every domain's disks, and everything else that names a path.
import {
  type Connection,
  type DiskDefinition,
  type Domain,
  describeSource,
  ErrorCode,
  isLibvirtError,
  sameSource,
} from '@blockferry/libvirt';
import type { Location } from '@blockferry/qemu';
import { messageOf } from '../../model/errors.ts';
import type { ImageRef } from '../../model/record.ts';
import { ofEveryDomain } from '../../observe/every-domain.ts';
import { bothDefinitions, savedDefinition } from '../../observe/usage.ts';
import { placeOf } from '../../observe/volumes.ts';
import { toSource } from '../../storage/to-image.ts';
import type { SeenUse } from './tree.ts';

/** A use, and the image by its place: which file that is has to be looked at. */
export type NamedUse = Omit<SeenUse, 'key'> & { readonly image: ImageRef };

export interface Uses {
  readonly uses: readonly NamedUse[];
  /** What definitions tell of images below the active ones, each with the next one down; `undefined` at the end. */
  readonly told: readonly { readonly image: ImageRef; readonly base: ImageRef | undefined }[];
  /** Texts in which an image may be named without being in a chain: definitions, snapshots, checkpoints. */
  readonly texts: readonly { readonly whose: string; readonly text: string }[];
  /** What could not be looked at. */
  readonly unknown: readonly UnknownUse[];
}

export interface UnknownUse {
  readonly domain: string;
  readonly disk: string | undefined;
  readonly why: string;
}

/** @throws what libvirt's calls throw; a domain that goes away meanwhile is no error */
export async function readUses(connection: Connection): Promise<Uses> {
  const found = await ofEveryDomain(connection, (domain) => usesBy(connection, domain));
  return {
    uses: found.flatMap(({ uses }) => uses),
    told: found.flatMap(({ told }) => told),
    texts: found.flatMap(({ texts }) => texts),
    unknown: found.flatMap(({ unknown }) => unknown),
  };
}

async function usesBy(connection: Connection, domain: Domain): Promise<Uses> {
  const found = { uses: [], told: [], texts: [], unknown: [] } satisfies Uses as Mutable<Uses>;
  const both = await bothDefinitions(connection, domain);
  const running = both.some(({ definition }) => definition === 'live');
  const saved = await savedDefinition(connection, domain).catch((error: unknown) => {
    found.unknown.push({ domain: domain.name, disk: undefined, why: messageOf(error) });
  });
  const definitions = saved ? [...both, { definition: 'saved' as const, xml: saved }] : both;
  for (const { definition, xml } of definitions) {
    found.texts.push({ whose: `the definition of ${xml.name}`, text: xml.toString() });
    const domainOf = { domain: xml.name, uuid: xml.uuid ?? '', running, definition };
    for (const disk of xml.disks()) await noteDisk(connection, found, disk, domainOf);
  }
  await noteSnapshots(domain, found);
  return found;
}

/** The format that all definitions agree on for an image whose header of the image above names none. */
export function declaredFormat({ told }: Uses, location: Location): string | undefined {
  if (location.kind === 'json') return undefined;
  const source = toSource(location);
  const formats = told
    .filter(({ image }) => sameSource(image.source, source))
    .map(({ image }) => image.format);
  return new Set(formats).size === 1 ? formats[0] : undefined;
}

type Mutable<T> = {
  -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K];
};
type DomainOf = Pick<SeenUse, 'domain' | 'uuid' | 'running' | 'definition'>;

async function noteDisk(
  connection: Connection,
  found: Mutable<Uses>,
  disk: DiskDefinition,
  domain: DomainOf,
): Promise<void> {
  const of = { ...domain, disk: disk.target };
  try {
    const chain: ImageRef[] = [];
    for (const { source, format = 'raw' } of disk.chain) {
      chain.push({ source: await placeOf(connection, source), format });
    }
    chain.forEach((image, depth) => {
      const base = chain[depth + 1];
      if (base !== undefined || disk.chainTerminated) found.told.push({ image, base });
    });
    const [image] = chain;
    if (image !== undefined) found.uses.push({ ...of, image, role: 'active', job: undefined });
    const mirror = disk.mirror?.chain[0];
    if (mirror !== undefined) {
      const { source, format = 'raw' } = mirror;
      found.uses.push({ ...of, image: { source, format }, role: 'mirror', job: disk.mirror?.job });
    }
  } catch (error) {
    const where = disk.source === undefined ? '' : `${describeSource(disk.source)}: `;
    found.unknown.push({ domain: domain.domain, disk: disk.target, why: `${where}${messageOf(error)}` });
  }
}

async function noteSnapshots(domain: Domain, { texts, unknown }: Mutable<Uses>): Promise<void> {
  try {
    for (const snapshot of await domain.listAllSnapshots()) {
      const whose = `snapshot ${snapshot.name} of ${domain.name}`;
      texts.push({ whose, text: await snapshot.getXmlDesc() });
    }
    for (const checkpoint of await domain.listAllCheckpoints()) {
      const whose = `checkpoint ${checkpoint.name} of ${domain.name}`;
      texts.push({ whose, text: await checkpoint.getXmlDesc() });
    }
  } catch (error) {
    const gone = [ErrorCode.NO_DOMAIN, ErrorCode.NO_DOMAIN_SNAPSHOT, ErrorCode.NO_DOMAIN_CHECKPOINT];
    if (gone.some((code) => isLibvirtError(error, code))) return;
    // Not every driver has snapshots: then none names an image.
    if (isLibvirtError(error, ErrorCode.NO_SUPPORT)) return;
    unknown.push({ domain: domain.name, disk: undefined, why: messageOf(error) });
  }
}
