// Headers that today's qemu-img refuses to write, but older ones wrote (docs/interop/qcow2.txt).
import { readFileSync, writeFileSync } from 'node:fs';

const BACKING_FORMAT_EXTENSION = Buffer.from('e2792aca', 'hex');
const UNKNOWN_EXTENSION = Buffer.from('11223344', 'hex');

/** Makes the header name its backing file without a format. */
export function forgetBackingFormat(path: string): void {
  const bytes = readFileSync(path);
  UNKNOWN_EXTENSION.copy(bytes, bytes.indexOf(BACKING_FORMAT_EXTENSION));
  writeFileSync(path, bytes);
}
