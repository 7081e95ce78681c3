// Is a block device read-only, or in use by the host itself, or by a domain through another device? QEMU would write over it:
// it takes no exclusive hold of its disks.
import { type Host, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { type Usage, usesOf } from '../observe/usage.ts';
import type { Warning } from './warning.ts';

interface Device {
  readonly name: string;
  /** Major and minor number. */
  readonly number: string;
  readonly readOnly: boolean;
  readonly type: string;
  readonly mountpoint: string;
}

/**
 * @throws Refusal `destination-in-use` for a device that is mounted, that another device is made of, or of which a domain
 * uses a part, or the whole; `destination-unusable` for one that the kernel lets nobody write to
 */
export async function mustBeIdle(host: Host, path: string, usage: Usage): Promise<void> {
  const [self, ...on] = await devicesAt(host, path, []);
  if (self === undefined) return;
  if (self.readOnly) {
    const hint = `is that meant? If not: blockdev --setrw ${quoteArgument(path)}`;
    throw new Refusal('destination-unusable', `${path} is read-only`, { path }, hint);
  }
  for (const { name, mountpoint } of [self, ...on]) {
    if (mountpoint !== '') throw inUse(path, `this host: ${name} is mounted at ${mountpoint}`);
  }
  // Partitions may be a former guest's; anything else is the host's.
  const made = on.find(({ type }) => type !== 'part');
  if (made !== undefined) throw inUse(path, `this host: ${made.name} (${made.type}) is made of it`);
  const [, ...below] = await devicesAt(host, path, ['-s']);
  for (const { name, number } of [...on, ...below]) {
    const [use] = usesOf(usage, { kind: 'block', path: name }, `device ${number}`);
    if (use === undefined) continue;
    const relation = below.some((one) => one.name === name) ? 'which it is a part of' : 'a part of it';
    throw inUse(path, `${use.domain}, whose ${use.disk} is on ${name}, ${relation}`);
  }
}

/** The numbers of a device, first its own, and of all that are made of it or that it is made of, whatever it is called. */
export async function numbersOf(host: Host, path: string): Promise<readonly string[]> {
  const [down, up] = [await devicesAt(host, path, []), await devicesAt(host, path, ['-s'])];
  return [...new Set([...down, ...up].map(({ number }) => number))];
}

/** The device itself first, then those that are made of it; with `-s`, those that it is made of. */
async function devicesAt(host: Host, path: string, which: readonly string[]): Promise<readonly Device[]> {
  const columns = 'NAME,MAJ:MIN,RO,TYPE,MOUNTPOINT';
  const { code, stdout } = await host.run(['lsblk', '-nrp', ...which, '-o', columns, '--', path]);
  if (code !== 0) return [];
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [name = '', number = '', readOnly = '', type = '', mountpoint = ''] = line.split(' ');
      return { name, number, readOnly: readOnly === '1', type, mountpoint };
    });
}

function inUse(path: string, who: string): Refusal {
  return new Refusal('destination-in-use', `${path} is used by ${who}`, { path });
}

/** What a device seems to hold, by the signatures that libblkid knows, in words; a word of caution, and no proof. */
export async function dataOn(host: Host, path: string): Promise<Warning[]> {
  const { code, stdout } = await host.run(['blkid', '-p', '-o', 'export', '--', path]);
  // Of several kinds at once, which it does not name.
  if (code === 8) return [holdsData(path, 'data of several kinds')];
  if (code !== 0) return [];
  const facts = new Map(
    stdout.split('\n').map((line) => [line.split('=')[0], line.slice(line.indexOf('=') + 1)]),
  );
  const label = facts.get('LABEL');
  const named = label === undefined ? '' : ` called ${quoteArgument(label)}`;
  const [type, table] = [facts.get('TYPE'), facts.get('PTTYPE')];
  if (type !== undefined) return [holdsData(path, `${type}${named}`)];
  return table === undefined ? [] : [holdsData(path, `a partition table (${table})`)];
}

function holdsData(path: string, what: string): Warning {
  return { code: 'destination-holds-data', message: `${path} holds ${what}, which will be overwritten` };
}
