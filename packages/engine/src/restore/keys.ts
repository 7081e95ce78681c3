// What opens the images of a point that are in LUKS: secrets of the libvirt that the domain is restored on.
import { check, type Host, QemuImgError } from '@blockferry/qemu';
import { keyed } from '../backup/locked.ts';
import type { Manifest } from '../backup/model.ts';
import { imagesOf, type PointChain } from '../backup/points.ts';
import { messageOf, Refusal } from '../model/errors.ts';
import { mustTellSecret, type Secrets } from '../storage/passphrase.ts';
import type { RestorePreflight } from './request.ts';

export type Keys = () => Promise<Secrets>;

/** Every secret that a point needs is there, and told. @throws Refusal `encrypted` */
export async function mustHaveSecrets(keys: Keys, chain: PointChain): Promise<void> {
  for (const [secret, target] of secretsOf(chain)) {
    await mustTellSecret(await keys(), secret, { target, whose: 'libvirt' });
  }
}

function secretsOf(chain: PointChain): ReadonlyMap<string, string> {
  const stored = ({ disks }: Manifest) =>
    disks.flatMap(({ target, images }) => images.map(({ secret }) => ({ target, secret })));
  return new Map(
    chain
      .flatMap(stored)
      .flatMap(({ secret, target }) => (secret === undefined ? [] : [[secret, target] as const])),
  );
}

/** The secrets are the right ones: each image is opened, and checked. @throws Refusal `encrypted`, `point-broken` */
export async function mustOpen(
  host: Host,
  keys: Keys,
  { plan, chain }: RestorePreflight,
  signal: AbortSignal,
): Promise<void> {
  const images = plan.disks.flatMap(({ target }) => imagesOf(plan.directory, chain, target));
  for (const image of images) {
    const { secret, location } = image;
    if (secret === undefined || location.kind !== 'file') continue;
    try {
      const { verdict } = await check(host, await keyed(keys, image), { signal });
      if (verdict !== 'corrupt') continue;
    } catch (error) {
      if (!(error instanceof QemuImgError)) throw error;
      const why = `the secret ${secret} of this libvirt does not open ${location.path}: ${messageOf(error)}`;
      throw new Refusal('encrypted', why, { secret }, 'give it the passphrase of then', { cause: error });
    }
    throw new Refusal('point-broken', `${location.path} is corrupt (qemu-img check)`, { point: plan.point });
  }
}
