// How a storage daemon is given passphrases: by QMP on its standard input, which nobody but it reads.
import type { Image } from '../image/location.ts';
import type { QmpClient } from '../qmp/client.ts';

/**
 * Makes the secret objects that the trees of these images refer to (qapi/crypto.json, SecretProperties): once in the life of
 * a daemon for all that it is going to open. They go with it.
 *
 * @throws QmpCommandError, QmpConnectionError
 */
export async function addPassphrases(qmp: QmpClient, images: readonly Image[]): Promise<void> {
  const passphrases = new Map(
    images.flatMap(({ passphrase }) => (passphrase ? [[passphrase.objectId, passphrase] as const] : [])),
  );
  for (const [id, passphrase] of passphrases) {
    const data = Buffer.from(passphrase.reveal()).toString('base64');
    await qmp.execute('object-add', { 'qom-type': 'secret', id, format: 'base64', data });
  }
}
