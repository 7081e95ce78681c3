// Disks in LUKS: both hosts must have the secret. Nothing of such a disk is ever in plain on the destination's storage.
import { Refusal } from '../../model/errors.ts';
import { mustBeLuks } from '../../preflight/encryption.ts';
import { cannotKeepSecret } from '../../preflight/layered.ts';
import type { Situation } from '../../preflight/situation.ts';
import type { Warning } from '../../preflight/warning.ts';
import { mustOpen } from '../../storage/must-open.ts';
import { mustTellSecret, secretOf } from '../../storage/passphrase.ts';
import type { Pair } from '../pair.ts';
import { chainAt, type MigratedDisk, type MigrationRecord } from '../record.ts';

/** The overlays can be made in LUKS, as what is below them is. @throws Refusal `encrypted` */
export function mustKeepSecrets(situation: Situation): void {
  const { disk } = situation;
  for (const { source } of disk.chain) {
    if (source.encryption !== undefined) mustBeLuks(source, disk.target);
  }
  const against = cannotKeepSecret(situation, { scope: 'chain' });
  if (against !== undefined) throw new Refusal('encrypted', against);
}

/**
 * The destination's libvirt tells the secrets, and they are the right ones: with them the images are opened at home, where
 * they are.
 *
 * @throws Refusal `encrypted`
 */
export async function mustOpenThere(
  { home, away }: Pair,
  disks: readonly Pick<MigratedDisk, 'target' | 'layers' | 'shared'>[],
): Promise<void> {
  for (const { target, layers, shared } of disks) {
    for (const { from } of [...layers, ...shared]) {
      const secret = secretOf(from.source.encryption);
      if (secret === undefined) continue;
      const secrets = await away.link.connection();
      await mustTellSecret(secrets, secret, { target, whose: "the destination's libvirt" });
      const words = { whose: "the destination's libvirt", right: 'the passphrase that it has at home' };
      await mustOpen(home.host, secrets, from, words);
    }
  }
}

/** Of a migration that moves disks in LUKS. Pure. */
export function warningsOf({ disks, mode, options }: MigrationRecord): readonly Warning[] {
  const locked = disks.filter((disk) =>
    chainAt(disk, 'home').some(({ source }) => source.encryption !== undefined),
  );
  if (locked.length === 0 || mode === 'offline') return [];
  const pause: Warning = {
    code: 'luks-pause',
    message:
      'the guest waits while QEMU derives the key of each overlay in LUKS, which takes 2 s of CPU time as images are made by default',
  };
  if (options.tls !== undefined) return [pause];
  const names = locked.map(({ target }) => target).join(', ');
  const message = `the images of ${names} cross as they are, in LUKS; but what the guest writes meanwhile crosses in plain, like its memory: --tls encrypts the way`;
  return [pause, { code: 'luks-in-transit', message }];
}
