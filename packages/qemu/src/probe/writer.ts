// Has somebody an image open for writing? QEMU's own locks tell, whatever anybody says of the machine it belongs to.
import { HostError } from '../host/errors.ts';
import type { Host } from '../host/host.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image, Location } from '../image/location.ts';
import { QemuImgError } from '../qemu-img/errors.ts';
import { invoke } from '../qemu-img/invoke.ts';

export type Writer = 'yes' | 'no' | 'unknown';

/**
 * QEMU locks the files and block devices that it opens, and those who do not share are refused them ("Image locking" in
 * qemu(1)). A lock is of a device's node, and libvirt makes a /dev with other nodes for each QEMU, so that of a device none is no
 * answer. Servers know no such locks, storage that hangs gives no answer, and a name that is gone does not tell who
 * still has its file open: all `unknown`. While it looks, for milliseconds, no machine can open the image for writing.
 *
 * @throws HostError when the host itself cannot be asked
 */
export async function hasWriter(host: Host, location: Location, timeoutMs: number): Promise<Writer> {
  if (location.kind !== 'file' && location.kind !== 'block') return 'unknown';
  // A raw image shares its file with writers, so it is opened as one that does not, whatever it is; vpc has nothing in
  // its header that could lead elsewhere, should a guest have written one.
  const image: Image = { location, format: 'vpc' };
  const args = ['--output=json', toJsonFilename(image)];
  const unlocked = location.kind === 'file' ? 'no' : 'unknown';
  try {
    await invoke(host, { verb: 'info', images: [image], args, limits: { timeoutMs } });
    return unlocked;
  } catch (error) {
    if (error instanceof HostError && error.code === 'timeout') return 'unknown';
    if (error instanceof QemuImgError) return verdict(error, unlocked);
    throw error;
  }
}

/** The lock is asked for when the file is opened, before its header is looked at. */
function verdict({ code, stderr }: QemuImgError, unlocked: Writer): Writer {
  if (code === 'in-use') return 'yes';
  return /VPC|VHD/.test(stderr) ? unlocked : 'unknown';
}
