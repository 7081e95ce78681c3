// Is the other host another one, and does the domain find there what it needs besides its disks?
import { dirname } from 'node:path';
import { type Connection, type DomainXml, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { type Host, QmpCommandError, quoteArgument, startStorageDaemon } from '@blockferry/qemu';
import { messageOf, Refusal } from '../../model/errors.ts';
import { lookAt } from '../../preflight/look.ts';
import type { Warning } from '../../preflight/warning.ts';
import { qemuSetting } from '../../storage/tls-credentials.ts';
import { hostUuidOf } from '../hosts.ts';
import type { MigrationRecord } from '../record.ts';
import type { Needs } from './devices.ts';

/** Returns the UUIDs of both hosts. @throws Refusal `same-host`, `name-taken` */
export async function mustBeElsewhere(
  home: Connection,
  away: Connection,
  { name, uuid }: { readonly name: string; readonly uuid: string },
): Promise<MigrationRecord['hosts']> {
  const hosts = { home: await hostUuidOf(home), away: await hostUuidOf(away) };
  if (hosts.home === hosts.away) {
    throw new Refusal(
      'same-host',
      `both connections lead to hosts with the same UUID (${hosts.home}): to libvirt they are one host`,
      { uuid: hosts.home },
      'if they are two, give one of them another host_uuid in libvirtd.conf',
    );
  }
  const domains = await away.listAllDomains();
  const taken = domains.find((domain) => domain.name === name || domain.uuid === uuid);
  if (taken === undefined) return hosts;
  const what = taken.uuid === uuid ? `with the UUID of ${name} (${taken.name})` : `called ${name}`;
  throw new Refusal(
    'name-taken',
    `the destination has a domain ${what}`,
    { domain: taken.name, uuid: taken.uuid },
    'rename or undefine it there: virsh domrename, virsh undefine',
  );
}

/** Of which host it is said, and where what is advised is to be done. @throws Refusal */
export async function atDestination<T>(look: Promise<T>): Promise<T> {
  try {
    return await look;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { code, message, facts, hint } = error;
    const there = hint === undefined ? undefined : `at the destination, ${hint}`;
    throw new Refusal(code, `at the destination, ${message}`, facts, there, { cause: error });
  }
}

/** @throws Refusal `no-machine-type`, `no-cpu-model` */
export async function mustRun(away: Connection, definition: DomainXml, needs: Needs): Promise<void> {
  const { machine, arch, cpuModel } = needs;
  let capabilities: string;
  try {
    capabilities = await away.domainCapabilities({
      ...(arch !== undefined && { arch }),
      ...(machine !== undefined && { machine }),
      virtType: definition.type,
    });
  } catch (error) {
    if (!isLibvirtError(error)) throw error;
    throw new Refusal(
      'no-machine-type',
      `the destination cannot run a ${definition.type} machine of type ${machine ?? 'unknown'}: ${messageOf(error)}`,
      { machine },
      'install the same or a later QEMU there',
    );
  }
  if (cpuModel === undefined) return;
  const custom = /<mode name=['"]custom['"][\s\S]*?<\/mode>/.exec(capabilities)?.[0] ?? '';
  const model = [...custom.matchAll(/<model\b([^>]*)>([^<]+)</g)].find(([, , name]) => name === cpuModel);
  // A daemon that lists no models leaves it to QEMU, which checks it before anything is sent.
  if (custom === '' || (model !== undefined && !/usable=['"]no/.test(model[1] ?? ''))) return;
  throw new Refusal(
    'no-cpu-model',
    `the destination cannot give the CPU ${cpuModel} to a domain`,
    { cpu: cpuModel },
    'choose a CPU model that both hosts have: virsh hypervisor-cpu-baseline',
  );
}

/** getent(1): a key was not found. */
const NOT_FOUND = 2;

/**
 * Unless it is told another address, libvirt has QEMU send to the name that the other host has for itself (or that its
 * qemu.conf gives it, `migration_host`). That home does not know it would show when all has been copied.
 *
 * @throws Refusal `no-address`
 */
export async function mustFindByName(home: Host, away: Connection, there: Host): Promise<void> {
  const name = (await qemuSetting(there, 'migration_host')) ?? (await away.hostname());
  if ((await home.run(['getent', 'ahosts', '--', name])).code !== NOT_FOUND) return;
  throw new Refusal(
    'no-address',
    `the destination calls itself ${name}, which home does not find: QEMU would not know where to send the memory to`,
    { name },
    'say it with --migrateuri tcp://ADDRESS; or make the name known at home: DNS, /etc/hosts',
  );
}

/**
 * @param from said of needs that are not yet: ` from its next start on`
 * @throws Refusal `no-network`, `missing-file`, `no-such-directory`, `no-listen-address`
 */
export async function mustHave(away: Connection, host: Host, needs: Needs, from = ''): Promise<Warning[]> {
  for (const name of needs.networks) await mustHaveNetwork(away, name);
  for (const link of needs.links) {
    if ((await host.stat(`/sys/class/net/${link}`)) !== null) continue;
    throw new Refusal(
      'no-network',
      `the destination has no bridge or device ${link}`,
      { link },
      `make it there, under that name`,
    );
  }
  for (const path of needs.files) {
    if ((await host.stat(path)) !== null) continue;
    throw new Refusal(
      'missing-file',
      `the domain uses ${path}${from}, which the destination does not have`,
      { path },
      'copy it there; or take a medium out: virsh change-media --eject, with --live --config where it runs',
    );
  }
  await mustHaveEnds(host, needs, from);
  if (!needs.hostCpu) return [];
  const message =
    'the domain has the CPU of its host (host-passthrough): QEMU does not check whether the other is the same';
  return [{ code: 'host-cpu', message }];
}

async function mustHaveEnds(host: Host, { nodes, made, addresses }: Needs, from: string): Promise<void> {
  for (const path of nodes) {
    if ((await lookAt(host, path)) !== null) continue;
    const message = `a device of the domain is connected to ${path}${from}, which the destination does not have`;
    const hint = 'make it there; or take the device out: virsh edit, virsh detach-device';
    throw new Refusal('missing-file', message, { path }, hint);
  }
  for (const path of made) {
    const directory = dirname(path);
    if ((await lookAt(host, directory))?.type === 'directory') continue;
    const message = `the domain has ${path} made${from}, and the destination has no directory ${directory}`;
    const hint = `make it there: mkdir -p ${quoteArgument(directory)}`;
    throw new Refusal('no-such-directory', message, { path: directory }, hint);
  }
  const own = addresses.filter((address) => !EVERYWHERE.includes(address));
  if (own.length > 0) await mustListen(host, own, from);
}

const EVERYWHERE: readonly string[] = ['0.0.0.0', '::', '127.0.0.1', '::1', 'localhost'];

/** QEMU's own code tries it, at a port that is free. */
async function mustListen(host: Host, addresses: readonly string[], from: string): Promise<void> {
  await using daemon = await startStorageDaemon(host);
  for (const address of addresses) {
    const addr = { type: 'inet', data: { host: address, port: '0' } } as const;
    try {
      await daemon.qmp.execute('nbd-server-start', { addr });
    } catch (error) {
      if (!(error instanceof QmpCommandError)) throw error;
      throw new Refusal(
        'no-listen-address',
        `the domain listens on ${address}${from}, which the destination cannot: ${error.message}`,
        { address },
        'give the destination that address; or have the domain listen on one that both hosts have, or on that of a network (<listen>): virsh edit, and a restart of the domain',
        { cause: error },
      );
    }
    await daemon.qmp.execute('nbd-server-stop');
  }
}

async function mustHaveNetwork(away: Connection, name: string): Promise<void> {
  const hint = `virsh net-define, virsh net-start ${quoteArgument(name)}`;
  try {
    if (await away.isNetworkActive(name)) return;
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_NETWORK) && !isLibvirtError(error, ErrorCode.NO_SUPPORT))
      throw error;
    throw new Refusal('no-network', `the destination has no network ${name}`, { network: name }, hint, {
      cause: error,
    });
  }
  throw new Refusal(
    'no-network',
    `the network ${name} is not active at the destination`,
    { network: name },
    hint,
  );
}
