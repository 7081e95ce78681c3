// Asks around libvirt which image the domain's QEMU has open for writing. libvirt may not know: a libvirtd that dies in
// the middle of a pivot can come back without the domain, or with a mirror that QEMU has finished long ago.
import { type Host, hasWriter, type Writer } from '@blockferry/qemu';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import type { World } from '../model/world.ts';
import type { Context } from '../run/context.ts';
import { toLocation } from '../storage/to-image.ts';

const WITHIN_MS = 5_000;

/** The command line of a QEMU that libvirt starts has the words -uuid and the domain's UUID. */
const FIND = `for f in $(grep -lszxF -f - /proc/[0-9]*/cmdline); do grep -qszxF -e -uuid "$f" && echo "$f"; done; :`;

/** @param known libvirt says that the domain runs */
export async function whereQemuWrites(
  { host }: Context,
  move: MoveRecord,
  known: boolean,
): Promise<World['qemuWrites']> {
  if (host === undefined) return known ? 'unclear' : 'not-asked';
  const [alive, origin, destination] = await Promise.all([
    known || qemuRuns(host, move.domain.uuid),
    writerOf(host, move.origin),
    writerOf(host, move.destination),
  ]);
  return verdict(alive, origin, destination);
}

function writerOf(host: Host, { source }: ImageRef): Promise<Writer> | 'unknown' {
  // Only these have locks that can be seen.
  if (source.kind !== 'file' && source.kind !== 'block') return 'unknown';
  return hasWriter(host, toLocation(source), WITHIN_MS);
}

function verdict(alive: boolean, origin: Writer, destination: Writer): World['qemuWrites'] {
  // A writer that is not this domain's QEMU: somebody looks at the images, or another machine has them.
  if (!alive) return origin === 'yes' || destination === 'yes' ? 'unclear' : 'nobody';
  if (origin === 'unknown') return 'unclear';
  if (origin === 'no') return destination === 'no' ? 'unclear' : 'destination';
  return destination === 'yes' ? 'both' : 'origin';
}

async function qemuRuns(host: Host, uuid: string): Promise<boolean> {
  // The UUID goes by standard input: on a command line it would find itself.
  const { stdout } = await host.run(['sh', '-c', FIND], { input: `${uuid}\n`, timeoutMs: WITHIN_MS });
  return stdout.trim() !== '';
}
