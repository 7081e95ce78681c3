// A disk's chain as its images tell it, with the formats that the domain's definition declares.
import { type DiskDefinition, type DiskSource, sameSource } from '@blockferry/libvirt';
import { type ChainImage, type Host, readChain } from '@blockferry/qemu';
import { toOpenableImage } from './tls-credentials.ts';
import { toSource } from './to-image.ts';

/**
 * Reads the headers, top first. An image whose header declares no format for its backing file has the one that the
 * definition gives it; libvirt made sure of that when it started the domain.
 *
 * @param top where the active image is, if the definition only names it (a volume)
 * @throws what readChain throws; Refusal `unsupported-storage`
 */
export async function readDiskChain(
  host: Host,
  disk: DiskDefinition,
  top?: DiskSource,
): Promise<[ChainImage, ...ChainImage[]]> {
  const [image, ...below] = disk.chain;
  const source = top ?? image?.source;
  if (source === undefined) throw new Error(`${disk.target} has no image`);
  const active = await toOpenableImage(host, { source, format: image?.format ?? 'raw' });
  return readChain(host, active, {
    formatOf: (location) =>
      below.find(({ source }) => location.kind !== 'json' && sameSource(source, toSource(location)))?.format,
  });
}
