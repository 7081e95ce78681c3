// Everything of a host that a move can change, as text: two footprints are equal when nothing was touched.
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';

export type Footprint = {
  /** By domain and kind: definitions, state, block jobs, autostart, snapshots. */
  readonly domains: Readonly<Record<string, string>>;
  /** Type, mode, owner, size, inode and time of change of everything below the given directories. */
  readonly files: readonly string[];
  readonly volumes: Readonly<Record<string, string>>;
};

const LISTING = '%y %m %U:%G %s inode %i changed %T@ %p -> %l\\n';

/** Looks at all domains, pools and files of a host. Guests that write make every look differ: let them pause. */
export async function footprint(host: LibvirtHost, ...directories: readonly string[]): Promise<Footprint> {
  const domains: Record<string, string> = {};
  for (const domain of await names(host, 'list', '--all', '--name')) {
    for (const [kind, ...command] of kinds(domain)) domains[`${domain} ${kind}`] = await said(host, command);
    const disks = (await said(host, ['domblklist', '--details', domain])).matchAll(/ disk +(\S+) /g);
    for (const [, disk = ''] of disks)
      domains[`${domain} ${disk}`] = await said(host, ['blockjob', domain, disk, '--info', '--raw']);
  }
  const volumes: Record<string, string> = {};
  for (const pool of await names(host, 'pool-list', '--name'))
    volumes[pool] = await said(host, ['vol-list', pool]);
  const { stdout } = await run(['find', host.imagesDir, ...directories, '-printf', LISTING]);
  return { domains, volumes, files: stdout.trimEnd().split('\n').sort() };
}

function kinds(domain: string): string[][] {
  return [
    ['live', 'dumpxml', '--security-info', domain],
    ['persistent', 'dumpxml', '--security-info', '--inactive', domain],
    ['info', 'dominfo', domain],
    ['snapshots', 'snapshot-list', '--tree', domain],
    ['checkpoints', 'checkpoint-list', '--tree', domain],
  ];
}

async function names(host: LibvirtHost, ...command: readonly string[]): Promise<string[]> {
  return (await host.virsh(...command))
    .split('\n')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** What virsh answers; its error is an answer too. CPU time runs even in a paused machine. */
async function said(host: LibvirtHost, command: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(['virsh', '-c', host.uri, ...command], { accept: [0, 1] });
  return `${stdout}${stderr}`.replace(/^CPU time:.*\n/m, '');
}
