// The secrets of disks in LUKS: that libvirt has them, and that they are the right ones, is known before anything is touched.
import { type Connection, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import { mustOpen } from '../storage/must-open.ts';
import { passphraseOf, secretOf } from '../storage/passphrase.ts';

const WORDS = { whose: 'libvirt', right: 'the passphrase that opens it' };

/**
 * Images that stay encrypted byte for byte are opened, for one whose passphrase was changed since the guest started would
 * be noticed at the switch; so is an image that is there. Of a copy that is to be made libvirt must have the secret.
 *
 * @param chain the disk's images, which the copies are of and stand on
 * @throws Refusal `encrypted`
 */
export async function checkSecrets(
  connection: Connection,
  host: Host | undefined,
  move: Pick<MoveRecord, 'disk' | 'layered' | 'destination' | 'ownership'>,
  chain: readonly ImageRef[],
): Promise<void> {
  if (move.layered !== undefined) {
    if (host === undefined) return;
    for (const image of chain) await mustOpen(host, connection, image, WORDS);
    return;
  }
  const { encryption } = move.destination.source;
  const secret = secretOf(encryption);
  if (secret === undefined) return;
  await mustBeThere(connection, secret, move.disk);
  const isTold = (await passphraseOf(connection, encryption)) !== undefined;
  if (host !== undefined && isTold && move.ownership.kind === 'reused') {
    await mustOpen(host, connection, move.destination, WORDS);
  }
}

/** A private one is told to QEMU only, and is there. */
async function mustBeThere(connection: Connection, secret: string, target: string): Promise<void> {
  try {
    await connection.secretValue(secret);
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_SECRET)) return;
    throw new Refusal(
      'encrypted',
      `${target} is encrypted, and libvirt has no value of the secret ${secret}: ${error.message}`,
      { secret },
      `define it with that UUID, and set its value: virsh secret-define FILE; virsh secret-set-value ${secret} --plain --file PASSPHRASE`,
      { cause: error },
    );
  }
}
