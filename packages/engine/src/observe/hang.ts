// Storage that hangs, told from everything else that can go wrong with it.
import { HostError } from '@blockferry/qemu';

/** Did the operation get no answer in its time? */
export function isHang(error: unknown): boolean {
  return error instanceof HostError && error.code === 'timeout';
}
