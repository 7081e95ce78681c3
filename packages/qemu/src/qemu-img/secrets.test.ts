// A passphrase reaches QEMU, and nobody who looks on.
import { createDecipheriv } from 'node:crypto';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Passphrase } from '../image/passphrase.ts';
import { secretsFor } from './secrets.ts';

const UUID = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
const WORDS = 'open sesame';
const passphrase = new Passphrase(UUID, Buffer.from(WORDS));
const image = { location: { kind: 'file', path: '/a' }, format: 'qcow2', passphrase } as const;

test('shown in any way, it is its name', () => {
  const shown = [`${passphrase}`, inspect(image, { depth: 9, showHidden: true }), JSON.stringify(image)];
  for (const text of shown) {
    expect(text).toContain(UUID);
    expect(text).not.toContain(WORDS);
    expect(text).not.toContain('111, 112, 101, 110');
  }
});

test('arguments have it as ciphertext only, of another key each time; each secret is there once', () => {
  const both = [1, 2].map(() =>
    secretsFor([image, image, { ...image, location: { kind: 'file', path: '/b' } }]),
  );
  const [first, second] = both;
  if (first === undefined || second === undefined) throw new Error('no secrets');
  expect(first.input).not.toBe(second.input);
  const objects = first.args.filter((each) => each !== '--object').map((each) => JSON.parse(each));
  expect(objects.map(({ id }) => id)).toEqual(['blockferry-master', passphrase.objectId]);
  expect(first.args.join()).not.toContain(WORDS);
  expect(first.args.join()).not.toContain(Buffer.from(WORDS).toString('base64'));
  expect(first.args.join()).not.toContain(first.input);
  const { iv, data, keyid } = objects[1];
  expect(keyid).toBe('blockferry-master');
  const key = Buffer.from(first.input, 'base64');
  const decipher = createDecipheriv('aes-256-cbc', key, Buffer.from(iv, 'base64'));
  expect(decipher.update(data, 'base64', 'utf8') + decipher.final('utf8')).toBe(WORDS);
});

test('images without one need nothing', () => {
  const { passphrase: _, ...plain } = image;
  expect(secretsFor([plain])).toBeUndefined();
});
