// Asks around libvirt which image the domain's QEMU is on. libvirt may not know: a libvirtd that dies in the middle of
// a pivot can come back without the domain, or with a mirror that QEMU has finished long ago.
import { type Domain, ErrorCode, isLibvirtError, MonitorError } from '@blockferry/libvirt';
import { type Host, hasWriter, type Writer } from '@blockferry/qemu';
import { StartedMeanwhile } from '../model/errors.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import type { World } from '../model/world.ts';
import type { Context } from '../run/context.ts';
import { toLocation } from '../storage/to-image.ts';
import type { Definitions } from './definitions.ts';

type Writes = World['qemuWrites'];

const WITHIN_MS = 5_000;

/** The command line of a QEMU that libvirt starts has the words -uuid and the domain's UUID. */
const FIND = `for f in $(grep -lszxF -f - /proc/[0-9]*/cmdline); do grep -qszxF -e -uuid "$f" && echo "$f"; done; :`;

/** The two images of one switch: the guest was on `origin`, and was or will be told to go to `destination`. */
export type SwitchEnds = Pick<MoveRecord, 'domain' | 'disk' | 'origin' | 'destination'>;

/**
 * From QEMU itself where libvirt still talks to it, else from the locks that it holds.
 *
 * @throws StartedMeanwhile when the domain that was off by `definitions` is running by now
 */
export async function whereQemuWrites(
  { host }: Context,
  ends: SwitchEnds,
  definitions: Definitions | undefined,
): Promise<Writes> {
  const running = definitions?.running ?? false;
  const told = running && definitions ? await toldByQemu(definitions, ends) : undefined;
  if (told !== undefined) return told;
  if (host === undefined) return running ? 'unclear' : 'not-asked';
  const [alive, origin, destination] = await Promise.all([
    running || qemuRuns(host, ends.domain.uuid),
    writerOf(host, ends.origin),
    writerOf(host, ends.destination),
  ]);
  const writes = byLocks(alive, origin, destination);
  // Whoever starts a domain opens its images: that is no QEMU that libvirt knows nothing of.
  if (!running && writes !== 'nobody' && (await isActiveNow(definitions))) throw new StartedMeanwhile();
  return writes;
}

async function isActiveNow(definitions: Definitions | undefined): Promise<boolean> {
  try {
    return (await definitions?.domain.isActive()) ?? false;
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return false;
    throw error;
  }
}

interface BlockBackend {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name'?: string; readonly drv?: string; readonly file?: string };
}

/**
 * The node below the guest's device, by its alias (query-block, qapi/block-core.json).
 *
 * @throws MonitorError, LibvirtError
 */
export async function deviceOf(
  domain: Pick<Domain, 'monitorCommand'>,
  alias: string | undefined,
): Promise<BlockBackend['inserted']> {
  const backends = (await domain.monitorCommand({ execute: 'query-block' })) as readonly BlockBackend[];
  return backends.find(({ qdev }) => alias !== undefined && qdev?.split('/').includes(alias))?.inserted;
}

/** libvirt names nodes after its indexes. */
async function toldByQemu({ domain, live }: Definitions, ends: SwitchEnds): Promise<Writes | undefined> {
  const disk = live?.disk(ends.disk);
  const alias = disk?.alias;
  if (disk === undefined || alias === undefined) return undefined;
  try {
    const inserted = await deviceOf(domain, alias);
    const isOn = (index: string | undefined, { source }: ImageRef) =>
      (index !== undefined && inserted?.['node-name'] === `libvirt-${index}-format`) ||
      ('path' in source && inserted?.file === source.path);
    if (isOn(disk.mirror?.chain[0]?.index, ends.destination)) return 'destination';
    return isOn(disk.chain[0]?.index, ends.origin) ? 'origin' : undefined;
  } catch (error) {
    // Not allowed to us, or not known to this libvirt.
    if (error instanceof MonitorError || isLibvirtError(error)) return undefined;
    throw error;
  }
}

function writerOf(host: Host, { source }: ImageRef): Promise<Writer> | 'unknown' {
  // Only these have locks that can be seen.
  if (source.kind !== 'file' && source.kind !== 'block') return 'unknown';
  return hasWriter(host, toLocation(source), WITHIN_MS);
}

/** QEMU holds the lock of a source that it has left until libvirt removes it: while it may have both, it cannot be told. */
function byLocks(alive: boolean, origin: Writer, destination: Writer): Writes {
  // A writer that is not this domain's QEMU: somebody looks at the images, or another machine has them.
  if (!alive) return origin === 'yes' || destination === 'yes' ? 'unclear' : 'nobody';
  if (origin === 'unknown') return 'unclear';
  if (origin === 'no') return destination === 'no' ? 'unclear' : 'destination';
  return destination === 'no' ? 'origin' : 'both';
}

async function qemuRuns(host: Host, uuid: string): Promise<boolean> {
  // The UUID goes by standard input: on a command line it would find itself.
  const { stdout } = await host.run(['sh', '-c', FIND], { input: `${uuid}\n`, timeoutMs: WITHIN_MS });
  return stdout.trim() !== '';
}
