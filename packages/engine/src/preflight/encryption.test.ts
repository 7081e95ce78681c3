// No disk that is encrypted ever gets a plain copy, whatever the scope, the destination and who names it.
import { parseDiskXml } from '@blockferry/libvirt';
import { describe, expect, it, test } from 'vitest';
import type { Ownership } from '../model/record.ts';
import type { Destination } from './destination.ts';
import { withEncryption } from './encryption.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

const key = (uuid: string, more = '') =>
  `<encryption format='luks'${more}><secret type='passphrase' uuid='${uuid}'/></encryption>`;

/** A disk of images, top first, each plain (undefined) or with this <encryption>. */
function situation(
  images: readonly (string | undefined)[],
  headers: readonly (string | null)[] = [],
): Situation {
  const nested = images.reduceRight<string>((below, encryption, depth) => {
    const source = `<source file='/image${depth}'>${encryption ?? ''}</source>`;
    if (depth === 0) return source + below;
    return `<backingStore type='file'><format type='qcow2'/>${source}${below}</backingStore>`;
  }, '<backingStore/>');
  const xml = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>${nested}<target dev='vda'/></disk>`;
  const chain = headers.length === 0 ? undefined : headers.map((encryption) => ({ encryption }));
  return { disk: parseDiskXml(xml), chain } as unknown as Situation;
}

const to = (kind: Ownership['kind'], encryption?: string): Destination => {
  const source = { kind: 'file' as const, path: '/new', ...(encryption !== undefined && { encryption }) };
  return { image: { source, format: 'qcow2' }, ownership: { kind } as Ownership, stat: null };
};

const ask = (scope: MoveRequest['scope'], destinationXml?: string) =>
  ({ scope, ...(destinationXml !== undefined && { destinationXml }) }) as MoveRequest;

const encryptionOf = ({ image }: Destination) => image.source.encryption;
const refusal = expect.objectContaining({ code: 'encrypted' });

describe('the copy gets the secret', () => {
  it('of the active image', () => {
    const found = withEncryption(situation([key('a'), key('b')]), ask('shallow'), to('created'));
    expect(encryptionOf(found)).toBe(key('a'));
  });

  it('of the topmost image that has one, where the chain becomes one image', () => {
    const found = withEncryption(situation([undefined, key('b'), key('c')]), ask('flatten'), to('created'));
    expect(encryptionOf(found)).toBe(key('b'));
  });

  it('also where the image was made beforehand', () => {
    const found = withEncryption(situation([key('a')]), ask('flatten'), to('reused'));
    expect(encryptionOf(found)).toBe(key('a'));
  });

  it('that the operator names in XML, for plain disks too', () => {
    const given = to('created', key('x'));
    expect(withEncryption(situation([key('a')]), ask('flatten', '<disk/>'), given)).toBe(given);
    expect(withEncryption(situation([undefined]), ask('flatten', '<disk/>'), given)).toBe(given);
  });
});

test('a plain overlay of an encrypted image is moved alone as it is', () => {
  const plain = to('created');
  expect(withEncryption(situation([undefined, key('b')]), ask('shallow'), plain)).toBe(plain);
});

describe('refused is', () => {
  it.each<[string, Situation, MoveRequest, Destination]>([
    ['plain XML', situation([key('a')]), ask('flatten', '<disk/>'), to('created')],
    [
      'plain XML for what is below',
      situation([undefined, key('b')]),
      ask('flatten', '<disk/>'),
      to('reused'),
    ],
    ['a volume', situation([key('a')]), ask('flatten'), to('volume')],
    ['an RBD image that we would make', situation([key('a')]), ask('flatten'), to('rbd-image')],
    ['what only the header says', situation([undefined], ['luks']), ask('flatten'), to('created')],
    ['QEMU’s old encryption', situation(["<encryption format='qcow'/>"]), ask('flatten'), to('created')],
    ['librbd’s encryption', situation([key('a', " engine='librbd'")]), ask('flatten'), to('created')],
    [
      'a destination of a kind nobody can make',
      situation([undefined]),
      ask('flatten', '<disk/>'),
      to('created', "<encryption format='luks2'/>"),
    ],
  ])('%s', (_, where, request, destination) => {
    expect(() => withEncryption(where, request, destination)).toThrow(refusal);
  });
});
