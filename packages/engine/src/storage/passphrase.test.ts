// What is to be encrypted is never made plain because nobody tells the secret.
import { LibvirtError } from '@blockferry/libvirt';
import { expect, test } from 'vitest';
import { passphraseOf, toKeyedImage } from './passphrase.ts';

const UUID = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
const encryption = `<encryption format='luks'><secret type='passphrase' uuid='${UUID}'/></encryption>`;
const locked = { source: { kind: 'file' as const, path: '/a', encryption }, format: 'qcow2' };
const facts = { code: 65, domain: 0, message: 'secret is private', level: 2 };
const silent = {
  secretValue: () => Promise.reject(new LibvirtError('SECRET_GET_VALUE', facts as never)),
};
const open = { secretValue: (uuid: string) => Promise.resolve(Buffer.from(`of ${uuid}`)) };

test('an image in LUKS has its passphrase, whoever asks', async () => {
  const { passphrase } = await toKeyedImage(open, locked);
  expect(Buffer.from(passphrase?.reveal() ?? []).toString()).toBe(`of ${UUID}`);
});

test('without it there is no image, but for those that only ask whether there is one', async () => {
  await expect(toKeyedImage(silent, locked)).rejects.toThrow('secret is private');
  expect(await passphraseOf(silent, encryption)).toBeUndefined();
  const unnamed = "<encryption format='luks'><secret type='passphrase' usage='x'/></encryption>";
  const source = { ...locked.source, encryption: unnamed };
  await expect(toKeyedImage(open, { ...locked, source })).rejects.toThrow('UUID');
});

test('a plain image needs none', async () => {
  const source = { kind: 'file' as const, path: '/a' };
  expect(await toKeyedImage(silent, { source, format: 'qcow2' })).not.toHaveProperty('passphrase');
});
