// How qemu-img is given passphrases: in its arguments only as ciphertext, whose key, made for this one call, comes by
// standard input. Lists of processes show arguments to everybody.
import { createCipheriv, randomBytes } from 'node:crypto';
import type { Image } from '../image/location.ts';
import type { Passphrase } from '../image/passphrase.ts';
import { formatExactJson } from '../json/exact-json.ts';

const MASTER = 'blockferry-master';
const KEY_BYTES = 32;
const IV_BYTES = 16;

export interface Secrets {
  readonly args: readonly string[];
  /** For standard input. */
  readonly input: string;
}

/** The secret objects that these images need (qapi/crypto.json, SecretProperties); undefined: none. */
export function secretsFor(images: readonly Image[]): Secrets | undefined {
  const passphrases = new Map(
    images.flatMap(({ passphrase }) => (passphrase ? [[passphrase.objectId, passphrase] as const] : [])),
  );
  if (passphrases.size === 0) return undefined;
  const key = randomBytes(KEY_BYTES);
  const master = { 'qom-type': 'secret', id: MASTER, format: 'base64', file: '/dev/stdin' };
  const objects = [master, ...[...passphrases.values()].map((each) => encrypted(each, key))];
  return {
    args: objects.flatMap((object) => ['--object', formatExactJson(object)]),
    input: key.toString('base64'),
  };
}

function encrypted(passphrase: Passphrase, key: Buffer): Record<string, string> {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const data = Buffer.concat([cipher.update(passphrase.reveal()), cipher.final()]);
  const text = { data: data.toString('base64'), iv: iv.toString('base64'), format: 'base64' };
  return { 'qom-type': 'secret', id: passphrase.objectId, keyid: MASTER, ...text };
}
