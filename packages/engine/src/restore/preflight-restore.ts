// Everything that speaks against a restore is said here, before anything is touched.
import { randomBytes, randomUUID } from 'node:crypto';
import { basename, dirname, extname, join } from 'node:path';
import {
  type Connection,
  type DiskDefinition,
  type Domain,
  DomainXml,
  describeSource,
  ErrorCode,
  isLibvirtError,
} from '@blockferry/libvirt';
import { type Host, quoteArgument } from '@blockferry/qemu';
import { DEFINITION, pointPath } from '../backup/layout.ts';
import type { Manifest, StoredDisk } from '../backup/model.ts';
import { choosePoint, readPoints } from '../backup/points.ts';
import { Refusal } from '../model/errors.ts';
import { LONGEST_NAME, nameLength } from '../model/file-names.ts';
import { type Definitions, readDefinitions } from '../observe/definitions.ts';
import { lookAt, mustHaveDirectory } from '../preflight/look.ts';
import { checkBeginning } from '../preflight/open-moves.ts';
import { underWay } from '../preflight/under-way.ts';
import type { Context } from '../run/context.ts';
import { findMoves } from '../run/find-moves.ts';
import { forgetSnapshots } from '../snapshots/index.ts';
import { warningOfLibvirt } from './ask-libvirt.ts';
import { definitionFor } from './definition.ts';
import { restoreJournalPath } from './journal.ts';
import { mustHaveSecrets } from './keys.ts';
import { asWritten, keepPlaces, warningsFor } from './left-out.ts';
import type { RestoreAs, RestoredDisk, RestorePlan, RestorePreflight, RestoreRequest } from './request.ts';
import { bytesOf, mustHaveRoom } from './room.ts';
import { warningsOfEnds } from './shared-ends.ts';
import { planTpm } from './tpm.ts';

/** @throws Refusal, with nothing touched; what the point holds is checked later, and before anything is made */
export async function preflightRestore(context: Context, request: RestoreRequest): Promise<RestorePreflight> {
  const { host, link } = context;
  if (host === undefined) {
    throw new Refusal('no-host', 'restoring runs tools on the host, and this connection gives no way to');
  }
  const points = await readPoints(host, request.directory);
  const chain = choosePoint(points, request.directory, request.point);
  const [manifest] = chain;
  const stored = await definitionOf(host, request.directory, manifest);
  const connection = await link.connection();
  const present = await mayBeDefined(connection, manifest, request.as);
  if (present !== undefined) await mustBeIdle(context, present);
  await mustHaveSecrets(() => link.connection(), chain);
  const { plan, warnings } = await planOf(context, host, request, manifest, stored);
  const bytes = plan.disks.reduce((sum, { target }) => sum + bytesOf(chain, target), 0n);
  await mustHaveRoom(host, plan, chain);
  const now = asWritten(present?.config);
  keepPlaces(
    stored,
    now,
    plan.disks.map(({ target }) => target),
  );
  const besides = await warningsFor(host, manifest, { definition: stored, present: now }, request);
  const definition = definitionFor(plan, stored, now);
  const ends = request.as.kind === 'new' ? warningsOfEnds(definition) : [];
  const objections = await warningOfLibvirt(connection, definition);
  return {
    plan,
    chain,
    definition,
    bytes,
    kept: keptOf(present, plan),
    warnings: [...besides, ...warnings, ...ends, ...objections],
  };
}

/** @throws Refusal `point-broken` */
export async function definitionOf(host: Host, directory: string, manifest: Manifest): Promise<DomainXml> {
  const path = join(pointPath(directory, manifest.point), DEFINITION);
  const text = await host.readFile(path);
  const definition = text === null ? undefined : DomainXml.parse(text);
  const lacking = manifest.disks.find(({ target }) => definition?.disk(target) === undefined);
  if (definition !== undefined && lacking === undefined) return definition;
  const why =
    lacking === undefined || text === null ? `${path} is missing` : `it defines no disk ${lacking.target}`;
  throw new Refusal('point-broken', `${manifest.point} cannot be used: ${why}`, { point: manifest.point });
}

/** The domain whose definition is replaced, if there is one. @throws Refusal */
async function mayBeDefined(
  connection: Connection,
  { domain: { name, uuid } }: Manifest,
  as: RestoreAs,
): Promise<Definitions | undefined> {
  const byUuid = await readDefinitions(connection, uuid);
  const wanted = as.kind === 'new' ? as.name : name;
  // libvirt would say so when all is copied.
  if (/[/\n]|^\s*$|^\.\.?$/.test(wanted)) {
    throw new Refusal('bad-name', `no domain can have the name ${JSON.stringify(wanted)}`, { name: wanted });
  }
  const byName = await named(connection, wanted);
  if (byName !== undefined && (as.kind === 'new' || byName.uuid !== uuid)) {
    const hint = 'choose another: --name NAME';
    throw new Refusal('name-taken', `there is a domain ${wanted} (${byName.uuid})`, { name: wanted }, hint);
  }
  if (as.kind === 'new' || byUuid === undefined) return undefined;
  if (as.kind === 'original') {
    const hint = `restore over it: --over; or beside it, as another domain: --name ${quoteArgument(`${name}-restored`)}`;
    throw new Refusal('domain-exists', `there is a domain ${byUuid.domain.name} (${uuid})`, { name }, hint);
  }
  return byUuid;
}

async function named(connection: Connection, name: string): Promise<Domain | undefined> {
  try {
    return await connection.lookupDomainByName(name);
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return undefined;
    throw error;
  }
}

/** Nobody runs on what is replaced, and no work of ours is under way on it. @throws Refusal */
export async function mustBeIdle(context: Context, definitions: Definitions): Promise<void> {
  const { domain, running } = definitions;
  if (running) {
    throw new Refusal(
      'domain-runs',
      `${domain.name} runs: only a domain that is off is restored over`,
      { domain: domain.name },
      `shut it down: virsh shutdown ${quoteArgument(domain.name)}; or restore beside it: --name ${quoteArgument(`${domain.name}-restored`)}`,
    );
  }
  if (await domain.hasManagedSave()) {
    throw new Refusal(
      'managed-save',
      `${domain.name} was saved, and goes on from the disks that it had then, whatever its definition says`,
      { domain: domain.name },
      `give up what was saved: virsh managedsave-remove ${quoteArgument(domain.name)}; or start it and shut it down; or restore beside it: --name ${quoteArgument(`${domain.name}-restored`)}`,
    );
  }
  const snapshots = await domain.listAllSnapshots();
  if (snapshots.length > 0) {
    throw new Refusal(
      'has-snapshots',
      `${domain.name} has ${snapshots.length} snapshot(s), which are of the disks that it has now: a revert would take it back to those`,
      { domain: domain.name },
      `restore beside it: --name ${quoteArgument(`${domain.name}-restored`)}; or have libvirt forget them (what is in the images stays): ${forgetSnapshots(domain.name)}`,
    );
  }
  checkBeginning(definitions, 'all');
  const [move] = await findMoves(context, domain.uuid);
  if (move !== undefined) throw underWay(move);
}

async function planOf(
  context: Context,
  host: Host,
  request: RestoreRequest,
  manifest: Manifest,
  definition: DomainXml,
): Promise<Pick<RestorePreflight, 'plan' | 'warnings'>> {
  const taken = new Set<string>();
  const disks = await planDisks(host, request, manifest, definition, taken);
  const [first] = disks;
  const { as, directory } = request;
  const name = as.kind === 'new' ? as.name : manifest.domain.name;
  const place = nvramPlace(request, definition, name, dirname(first.path));
  const nvram = manifest.nvram === undefined ? undefined : await freePath(host, place, taken);
  const journal = restoreJournalPath(dirname(first.path), name);
  mustBeShort(journal);
  const id = randomBytes(4).toString('hex');
  const uuid = as.kind === 'new' ? randomUUID() : manifest.domain.uuid;
  const beside = dirname(first.path);
  const kept: Wish = { path: join(beside, `${fileName(name)}-tpm.tar`), suffix: suffixOf(manifest) };
  const { tpm, warnings } = await planTpm(context, host, {
    ...{ id, as, uuid, manifest, definition },
    journal,
    freeName: () => freePath(host, kept, taken),
  });
  const plan: RestorePlan = {
    version: 1,
    id,
    directory,
    point: manifest.point,
    as,
    name,
    uuid,
    disks,
    ...(nvram !== undefined && { nvram }),
    ...(tpm && { tpm }),
  };
  return { plan, warnings };
}

async function planDisks(
  host: Host,
  request: RestoreRequest,
  manifest: Manifest,
  definition: DomainXml,
  taken: Set<string>,
): Promise<RestorePlan['disks']> {
  const disks: RestoredDisk[] = [];
  for (const stored of manifest.disks) {
    const { target, format, capacity } = stored;
    const path = await freePath(host, wishFor(request, manifest, stored, definition.disk(target)), taken);
    const [{ secret }] = stored.images;
    disks.push({ target, path, format, capacity, ...(secret !== undefined && { secret }) });
  }
  const [first, ...rest] = disks;
  if (first === undefined) throw new Refusal('point-broken', `${manifest.point} holds no disk`);
  return [first, ...rest];
}

interface Wish {
  readonly path: string;
  /** What tells it from a file that is there. */
  readonly suffix: string;
}

function wishFor(
  { as, to }: RestoreRequest,
  manifest: Manifest,
  { target, format }: StoredDisk,
  disk: DiskDefinition | undefined,
): Wish {
  const was = disk?.source?.kind === 'file' ? disk.source.path : undefined;
  const directory = to ?? (was === undefined ? undefined : dirname(was));
  if (directory === undefined) {
    const why = `${target} was no file, so nobody knows where its image is to go`;
    throw new Refusal('choose-directory', why, { disk: target }, 'name a directory: --to DIR');
  }
  const suffix = suffixOf(manifest);
  if (as.kind === 'new') return { path: join(directory, `${fileName(as.name)}-${target}.${format}`), suffix };
  return {
    path: join(directory, was === undefined ? `${target}.${format}` : (was.split('/').at(-1) ?? target)),
    suffix,
  };
}

function suffixOf({ point }: Manifest): string {
  return point.replace(/Z-.*$/, 'Z');
}

function fileName(name: string): string {
  return name.replaceAll('/', '_');
}

function nvramPlace({ as, to }: RestoreRequest, definition: DomainXml, name: string, beside: string): Wish {
  const was = definition.osNvram;
  const own = join(to ?? beside, `${fileName(name)}_VARS.fd`);
  return { path: as.kind === 'new' || to !== undefined || was === undefined ? own : was, suffix: 'restored' };
}

/** What is there is never overwritten: it may be what the domain falls back to. */
async function freePath(host: Host, { path, suffix }: Wish, taken: Set<string>): Promise<string> {
  const extension = extname(path);
  const stem = path.slice(0, path.length - extension.length);
  await mustHaveDirectory(host, path);
  for (let number = 0; ; number++) {
    const more = number === 0 ? '' : number === 1 ? `.${suffix}` : `.${suffix}-${number}`;
    const name = `${stem}${more}${extension}`;
    mustBeShort(name);
    if (taken.has(name) || (await lookAt(host, name)) !== null) continue;
    taken.add(name);
    return name;
  }
}

/** @throws Refusal `bad-name` */
function mustBeShort(path: string): void {
  if (nameLength(path) <= LONGEST_NAME) return;
  throw new Refusal(
    'bad-name',
    `a file that a restore makes would have too long a name (${nameLength(path)} bytes of at most ${LONGEST_NAME}): ${basename(path)}`,
    { path },
    'give the domain a shorter one: --name NAME',
  );
}

function keptOf(present: Definitions | undefined, { disks }: RestorePlan): readonly string[] {
  return disks.flatMap(({ target }) => {
    const source = present?.config?.disk(target)?.source;
    return source === undefined ? [] : [describeSource(source)];
  });
}
