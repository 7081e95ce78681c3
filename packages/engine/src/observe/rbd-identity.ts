// One RBD image may be named in several ways: by a ceph.conf, by monitors, by both. Which names may mean the same one?
import type { DiskSource, NetworkSource } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';

/** What librados reads where nobody names a configuration. */
export const DEFAULT_CONF = '/etc/ceph/ceph.conf';

interface Monitor {
  readonly host: string;
  readonly port: string | undefined;
}

/** As a ceph.conf tells a cluster from others. */
export interface Cluster {
  readonly fsid: string | undefined;
  readonly monitors: readonly Monitor[];
}

/** By the path of the ceph.conf; those that cannot be read are missing. */
export type Clusters = ReadonlyMap<string, Cluster>;

/** Reads the configurations that these sources name. */
export async function readClusters(host: Host, sources: readonly DiskSource[]): Promise<Clusters> {
  const paths = new Set(sources.filter(isRbd).map(({ config }) => config ?? DEFAULT_CONF));
  const clusters = new Map<string, Cluster>();
  for (const path of paths) {
    const text = path.startsWith('/') ? await host.readFile(path).catch(() => null) : null;
    if (text !== null) clusters.set(path, parseCephConf(text));
  }
  return clusters;
}

/** Reads what tells the cluster from the `[global]` part of a ceph.conf. */
export function parseCephConf(text: string): Cluster {
  const values = new Map<string, string>();
  let section = 'global';
  for (const line of text.replaceAll(/\\\n/g, ' ').split('\n')) {
    const [, name] = /^\s*\[(.*)\]\s*$/.exec(line) ?? [];
    if (name !== undefined) section = name.trim();
    const [, key, value] = /^\s*([\w -]+?)\s*=\s*(.*?)\s*(?:[;#].*)?$/.exec(line) ?? [];
    if (section !== 'global' || key === undefined || value === undefined) continue;
    values.set(key.replaceAll(/[ -]/g, '_'), value);
  }
  return { fsid: values.get('fsid')?.toLowerCase(), monitors: parseMonitors(values.get('mon_host') ?? '') };
}

/** `a,b:6789`, `[v2:1.2.3.4:3300/0,v1:1.2.3.4:6789/0]`, IPv6 addresses in brackets. */
function parseMonitors(text: string): Monitor[] {
  const one = /(?:v[12]:)?(\[[0-9a-f:.]+\]|[^\s,;:/[\]]+)(?::(\d+))?(?:\/\d+)?/gi;
  return [...text.matchAll(one)].map(([, host = '', port]) => ({ host: bare(host), port }));
}

const bare = (host: string): string => host.replaceAll(/[[\]]/g, '').toLowerCase();

/** Equal names in clusters that cannot be told apart count as the same: nothing may be written over by mistake. */
export function maybeSameRbdImage(a: DiskSource, b: DiskSource, clusters: Clusters): boolean {
  if (!isRbd(a) || !isRbd(b) || a.name !== b.name || a.snapshot !== b.snapshot) return false;
  const [one, other] = [clusterOf(a, clusters), clusterOf(b, clusters)];
  if (one === undefined || other === undefined) return true;
  if (one.fsid !== undefined && other.fsid !== undefined) return one.fsid === other.fsid;
  return maybeShareMonitor(one.monitors, other.monitors);
}

type RbdSource = DiskSource & NetworkSource;

function isRbd(source: DiskSource): source is RbdSource {
  return source.kind === 'network' && source.protocol === 'rbd';
}

/** Monitors in the definition win over those of a configuration; both of them name one cluster. */
function clusterOf({ hosts, config }: RbdSource, clusters: Clusters): Cluster | undefined {
  const configured = clusters.get(config ?? DEFAULT_CONF);
  if (hosts.length === 0) return configured;
  const monitors = hosts.map(({ name = '', port }) => ({ host: bare(name), port }));
  return { fsid: config === undefined ? undefined : configured?.fsid, monitors };
}

function maybeShareMonitor(ours: readonly Monitor[], theirs: readonly Monitor[]): boolean {
  if (ours.length === 0 || theirs.length === 0) return true;
  // A name and an address may be of one machine.
  const comparable = isAddress(ours) === isAddress(theirs);
  return !comparable || ours.some((one) => theirs.some((other) => maybeSameMonitor(one, other)));
}

function isAddress(monitors: readonly Monitor[]): boolean {
  return monitors.every(({ host }) => /^[\d.]+$|:/.test(host));
}

function maybeSameMonitor(one: Monitor, other: Monitor): boolean {
  const samePort = one.port === other.port || one.port === undefined || other.port === undefined;
  return one.host === other.host && samePort;
}
