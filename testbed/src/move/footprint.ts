// Everything of a host that a move can change, as text: two footprints are equal when nothing was touched.
import { type Connection, type Domain, DomainXml, DomainXmlFlags } from '@blockferry/libvirt';
import { run } from '../process/run.ts';

export type Footprint = {
  /** By domain: definitions with their secrets, state, block jobs, autostart, snapshots, checkpoints. */
  readonly domains: Readonly<Record<string, unknown>>;
  /** By pool: its volumes. */
  readonly volumes: Readonly<Record<string, readonly string[]>>;
  /** Type, mode, owner, size, inode and time of change of everything, directories too. */
  readonly files: readonly string[];
};

const LISTING = '%y %m %U:%G %s inode %i changed %T@ %p -> %l\\n';

/**
 * Looks at all domains and pools, and at all files below these directories. Guests that write make every look differ:
 * use idle domains.
 */
export async function footprint(
  connection: Connection,
  ...directories: readonly string[]
): Promise<Footprint> {
  const domains: Record<string, unknown> = {};
  for (const domain of await connection.listAllDomains()) domains[domain.name] = await stateOf(domain);
  const volumes: Record<string, string[]> = {};
  for (const pool of await connection.listAllStoragePools()) {
    const active = await pool.isActive();
    volumes[pool.name] = active ? (await pool.listAllVolumes()).map(({ name }) => name) : ['inactive'];
  }
  const { stdout } = await run(['find', ...directories, '-printf', LISTING]);
  return { domains, volumes, files: stdout.trimEnd().split('\n').sort() };
}

async function stateOf(domain: Domain): Promise<unknown> {
  const [active, persistent] = await Promise.all([domain.isActive(), domain.isPersistent()]);
  const live = active ? await domain.getXmlDesc(DomainXmlFlags.SECURE) : undefined;
  const jobs: Record<string, unknown> = {};
  for (const { target, device } of live === undefined ? [] : DomainXml.parse(live).disks()) {
    if (device === 'disk') jobs[target] = await domain.blockJobInfo(target);
  }
  return {
    live,
    persistent: persistent
      ? await domain.getXmlDesc(DomainXmlFlags.INACTIVE | DomainXmlFlags.SECURE)
      : undefined,
    state: await domain.getState(),
    autostart: persistent && (await domain.getAutostart()),
    jobs,
    snapshots: (await domain.listAllSnapshots()).map(({ name }) => name),
    checkpoints: (await domain.listAllCheckpoints()).map(({ name }) => name),
  };
}
