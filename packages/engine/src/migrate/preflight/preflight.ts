// Everything that can be refused is refused here, before anything is touched; the rest becomes the migration's record.
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import type { DomainXml } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../../model/errors.ts';
import { formatBytes } from '../../model/sizes.ts';
import type { Bytes } from '../../model/units.ts';
import { checkpointsOf } from '../../observe/checkpoints.ts';
import type { Definitions } from '../../observe/definitions.ts';
import { readDefinitions } from '../../observe/definitions.ts';
import { mustHoldAll } from '../../preflight/file-systems.ts';
import { labelWarnings } from '../../preflight/labels.ts';
import { mustServe } from '../../preflight/look.ts';
import { checkBeginning } from '../../preflight/open-moves.ts';
import { findDomain } from '../../preflight/situation.ts';
import { mustHaveStorageDaemon } from '../../preflight/storage-daemon.ts';
import type { Warning } from '../../preflight/warning.ts';
import { forEachSnapshot, forgetSnapshots } from '../../snapshots/index.ts';
import { hasRoom } from '../../space/room.ts';
import type { Pair } from '../pair.ts';
import { type MigrationOptions, type MigrationRecord, pathOf } from '../record.ts';
import type { MigrationRequest } from '../request.ts';
import { mustLetItCross } from './ask-libvirt.ts';
import { mustAgree } from './both-definitions.ts';
import { atDestination, mustBeElsewhere, mustFindByName, mustHave, mustRun } from './destination.ts';
import { needsOf } from './devices.ts';
import { type ExaminedDisk, examineDisk, isCopied, mustBeDistinct } from './disks.ts';
import { type BroughtNvram, mustBringNvram } from './nvram.ts';
import { mustOpenThere, warningsOf } from './secrets.ts';
import { mustBringTpm } from './tpm.ts';

export interface MigrationPreflight {
  readonly record: MigrationRecord;
  readonly warnings: readonly Warning[];
  readonly bytes: Bytes;
}

/** @throws Refusal, with nothing touched on either host */
export async function preflightMigration(pair: Pair, request: MigrationRequest): Promise<MigrationPreflight> {
  const [home, away] = await Promise.all([pair.home.link.connection(), pair.away.link.connection()]);
  const { name, uuid } = await findDomain(home, request.domain);
  const definitions = await readDefinitions(home, uuid);
  const definition = definitions?.live ?? definitions?.config;
  if (definitions === undefined || definition === undefined) throw new Error(`${name} is gone`);
  checkBeginning(definitions, 'all');
  await mustBeReady(definitions, name, request);
  mustAgree(definitions, name);
  const hosts = await mustBeElsewhere(home, away, { name, uuid });
  const needs = needsOf(definition);
  await mustRun(away, definition, needs);
  const warnings = await mustHave(away, pair.away.host, needs);
  if (definitions.config !== undefined) {
    await mustHave(away, pair.away.host, needsOf(definitions.config), ' from its next start on');
  }
  if (!request.offline && request.migrateUri === undefined) {
    await mustFindByName(pair.home.host, away, pair.away.host);
  }
  for (const { host } of [pair.home, pair.away]) await mustHaveStorageDaemon(host);
  const tpm = await mustBringTpm(pair, definition, { uuid, offline: request.offline });
  const nvram = await mustBringNvram(pair, definition, request);
  const id = randomBytes(4).toString('hex');
  const [first, ...rest] = await examineDisks(pair, request, definition, id);
  const states = [tpm, nvram?.state].filter((state) => state !== undefined);
  const disks: MigrationRecord['disks'] = [first.disk, ...rest.map(({ disk }) => disk)];
  mustBeDistinct(disks, states);
  await mustFit(pair, [first, ...rest], nvram, definitions.running);
  if (nvram !== undefined) await atDestination(mustServe(pair.away.host, nvram.state.path));
  await mustOpenThere(pair, disks);
  const record: MigrationRecord = {
    version: 1,
    id,
    domain: { name, uuid },
    mode: request.offline ? 'offline' : 'live',
    home: pair.home.link.uri ?? '',
    away: pair.away.link.uri ?? '',
    hosts,
    disks,
    states,
    autostart: await definitions.domain.getAutostart(),
    options: optionsOf(request),
    phase: request.offline ? 'copying' : 'freezing',
    goal: 'away',
    revision: 0,
  };
  await mustLetItCross(pair, record);
  const labels = [first, ...rest].flatMap(({ situation, disk }) =>
    labelWarnings(situation, { image: disk.layers[0].to }),
  );
  return {
    record,
    warnings: [...warnings, ...labels, ...warningsOf(record)],
    bytes: [first, ...rest].reduce((sum, { bytes }) => sum + bytes, 0n),
  };
}

async function examineDisks(
  pair: Pair,
  request: MigrationRequest,
  definition: DomainXml,
  id: string,
): Promise<[ExaminedDisk, ...ExaminedDisk[]]> {
  const examined: ExaminedDisk[] = [];
  for (const { target } of definition.disks().filter(isCopied)) {
    examined.push(await examineDisk(pair, request, target, id, examined));
  }
  const [first, ...rest] = examined;
  if (first === undefined) throw nothingToCopy(definition.name);
  return [first, ...rest];
}

function optionsOf(request: MigrationRequest): MigrationOptions {
  const { verify, guard, bandwidth, migrateUri, autoConverge, tls } = request;
  return {
    verify,
    autoConverge,
    ...(guard !== undefined && { guard }),
    ...(bandwidth !== undefined && { bandwidth }),
    ...(migrateUri !== undefined && { migrateUri }),
    ...(tls !== undefined && { tls }),
  };
}

/** @throws Refusal */
async function mustBeReady(
  { domain, running, paused, persistent }: Definitions,
  name: string,
  { offline }: MigrationRequest,
): Promise<void> {
  const no = (code: string, why: string, hint?: string) => new Refusal(code, `${name} ${why}`, {}, hint);
  if (!persistent)
    throw no(
      'domain-transient',
      'is transient: nothing would be left of it at home to go back to',
      `virsh dumpxml ${quoteArgument(name)} > ${quoteArgument(`${name}.xml`)}; virsh define ${quoteArgument(`${name}.xml`)}`,
    );
  if (running && offline) throw no('domain-running', 'runs', 'leave --offline out; or shut it off');
  if (!running && !offline)
    throw no('domain-off', 'is not running', '--offline migrates it as it is; or start it');
  if (paused) throw no('domain-paused', 'is paused', `virsh resume ${quoteArgument(name)}`);
  if (await domain.hasManagedSave())
    throw no(
      'managed-save',
      'has a saved memory image, which stays at home',
      `start it, or: virsh managedsave-remove ${quoteArgument(name)}`,
    );
  const [snapshots, checkpoints] = await Promise.all([domain.listAllSnapshots(), checkpointsOf(domain)]);
  if (snapshots.length > 0)
    throw no(
      'has-snapshots',
      `has ${snapshots.length} snapshot(s), with which libvirt migrates no domain`,
      snapshotsAside(name),
    );
  if (checkpoints.length > 0)
    throw no(
      'has-checkpoints',
      `has ${checkpoints.length} checkpoint(s), which libvirt forgets at home and does not know there`,
      `delete them (the next incremental backup is a full one): for c in $(virsh checkpoint-list ${quoteArgument(name)} --name); do virsh checkpoint-delete ${quoteArgument(name)} "$c"; done`,
    );
}

/** Images are copied byte for byte, so snapshots inside them come along; what libvirt knows of them does not. */
function snapshotsAside(name: string): string {
  const quoted = quoteArgument(name);
  return [
    `save what libvirt knows of them: ${forEachSnapshot(name, `snapshot-dumpxml ${quoted} "$s" < /dev/null > ${quoted}-"$s".xml`)}`,
    `have it forget them, data and all that is in the images stays: ${forgetSnapshots(name)}`,
    `at the destination afterwards, for each, parents first (with --dest-dir, put the new paths into the file before): virsh snapshot-create ${quoted} ${quoted}-NAME.xml --redefine`,
  ].join('\n');
}

function nothingToCopy(name: string): Refusal {
  return new Refusal(
    'not-a-disk',
    `${name} has no disk to copy`,
    {},
    `virsh migrate --live ${quoteArgument(name)} does all there is to do`,
  );
}

/** @throws Refusal `destination-too-small`, `no-room-for-overlay` */
async function mustFit(
  pair: Pair,
  examined: readonly ExaminedDisk[],
  nvram: BroughtNvram | undefined,
  running: boolean,
): Promise<void> {
  const files = [
    ...examined.map(({ disk, bytes }) => ({ path: pathOf(disk.layers[0].to), bytes })),
    ...(nvram === undefined ? [] : [{ path: nvram.state.path, bytes: nvram.bytes }]),
  ];
  await mustHoldAll(pair.away.host, files, {
    what: 'the copies need',
    at: ' at the destination',
    hint: 'make room there, or choose another directory with --dest-dir',
  });
  if (!running) return;
  for (const { disk } of examined) {
    const directory = dirname(pathOf(disk.overlay.home));
    const space = await pair.home.host.statfs(directory);
    if (hasRoom(0n, space)) continue;
    const { available } = space;
    throw new Refusal(
      'no-room-for-overlay',
      `what the guest writes meanwhile goes to ${directory}, which has ${formatBytes(available)} free`,
      { directory, have: available },
      'make room there',
    );
  }
}
