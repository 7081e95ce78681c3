// A running machine's disk whose image is hardly read any more: whatever copies it stands nearly still, however fast the storage.
import type { LibvirtHost } from '../libvirt-host/host.ts';

const mebibyte = 1 << 20;
const GROUP = 'held-reads';
const FILTER = 'held-reads-filter';

/** QEMU's own block node, as query-named-block-nodes shows it. */
interface Node {
  readonly 'node-name': string;
  readonly drv: string;
  readonly file: string;
  readonly backing_file?: string;
  readonly cache: { readonly writeback: boolean; readonly direct: boolean; readonly 'no-flush': boolean };
}

export interface HeldReads {
  /** QEMU reads as before, what waited at once; nothing of the hold is left in it. */
  release(): Promise<void>;
}

/**
 * Puts a throttle between the domain's qcow2 image at `path`, which must be the active one, and its file: 1 MiB is read in
 * `seconds`. The guest's writes go on, as long as nothing has them wait for a read.
 *
 * libvirt does not know of it: release before the image is no longer the active one.
 * @throws {Error} with QEMU's words
 */
export async function holdReads(
  host: LibvirtHost,
  domain: string,
  path: string,
  seconds: number,
): Promise<HeldReads> {
  const qmp = monitorOf(host, domain);
  const nodes = (await qmp('query-named-block-nodes', { flat: true })) as readonly Node[];
  const nameOf = (drv: string, file: string) => {
    const name = nodes.find((node) => node.drv === drv && node.file === file)?.['node-name'];
    if (name === undefined) throw new Error(`${domain} has no ${drv} node of ${file}`);
    return name;
  };
  const format = nodes.find(({ drv, file }) => drv === 'qcow2' && file === path);
  if (format === undefined) throw new Error(`${domain} has no qcow2 node of ${path}`);
  const { backing_file: below, cache } = format;
  const storage = nameOf('file', path);
  const reopen = (file: string) => {
    const { direct, 'no-flush': noFlush } = cache;
    const image = { driver: 'qcow2', 'node-name': format['node-name'], file, 'read-only': false };
    const options = {
      ...{ ...image, cache: { direct, 'no-flush': noFlush } },
      backing: below === undefined ? null : nameOf('qcow2', below),
    };
    return qmp('blockdev-reopen', { options: [options] });
  };
  const limits = { 'bps-read': Math.floor(mebibyte / seconds) };
  await qmp('object-add', { 'qom-type': 'throttle-group', id: GROUP, limits });
  const filter = { driver: 'throttle', 'node-name': FILTER, 'throttle-group': GROUP, file: storage };
  await qmp('blockdev-add', filter);
  await reopen(FILTER);
  return {
    async release() {
      await reopen(storage);
      await qmp('blockdev-del', { 'node-name': FILTER });
      await qmp('object-del', { id: GROUP });
    },
  };
}

type Monitor = (execute: string, given: object) => Promise<unknown>;

function monitorOf(host: LibvirtHost, domain: string): Monitor {
  return async (execute, given) => {
    const command = JSON.stringify({ execute, arguments: given });
    const said = JSON.parse(await host.virsh('qemu-monitor-command', domain, command)) as {
      readonly return?: unknown;
      readonly error?: { readonly desc: string };
    };
    if (said.error !== undefined) throw new Error(`${execute}: ${said.error.desc}`);
    return said.return;
  };
}
