// Does the definition name the chain that the images tell of? libvirt has QEMU open what the definition says, whatever the
// headers say: two chains make two disks, and only one is the guest's.
import { type DiskDefinition, type DiskSource, describeSource, sameSource } from '@blockferry/libvirt';
import { type ChainImage, formatLocation, type Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { fileKeyOf, pathOf } from '../observe/file-key.ts';
import { toRef } from '../storage/to-image.ts';

/** Formats that both sides have the same name for. */
const COMPARED: readonly string[] = ['raw', 'qcow2'];

/**
 * Compares as much as the definition spells out; of a domain that runs that is all. Files are known by what they are, not
 * by their names.
 *
 * @throws Refusal `chain-differs`; FileError, HostError
 */
export async function mustBeToldChain(
  host: Host,
  { chain: told, chainTerminated, target }: DiskDefinition,
  chain: readonly ChainImage[],
): Promise<void> {
  for (const [depth, { source, format }] of told.entries()) {
    if (depth === 0) continue; // The one that was opened by the definition's word.
    const found = chain[depth];
    if (found === undefined) throw differs(target, describeSource(source), 'nothing', depth);
    if (await isOther(host, source, found)) {
      throw differs(target, describeSource(source), formatLocation(found.image.location), depth);
    }
    const { format: declared } = found.image;
    if (isOtherFormat(format, declared)) {
      throw differs(target, `${describeSource(source)} as ${format}`, `it is ${declared}`, depth);
    }
  }
  const more = chain[told.length];
  if (!chainTerminated || more === undefined) return;
  throw differs(target, 'nothing', formatLocation(more.image.location), told.length);
}

function isOtherFormat(told: string | undefined, declared: string): boolean {
  return told !== undefined && told !== declared && COMPARED.includes(told) && COMPARED.includes(declared);
}

/** Of what is no file or device there may be several names, which nobody can tell apart by looking. */
async function isOther(host: Host, source: DiskSource, { image, stat }: ChainImage): Promise<boolean> {
  const path = pathOf(source);
  if (path === undefined || stat === null) return false;
  if (sameSource(source, toRef(image).source)) return false;
  const there = await host.stat(path);
  return there === null || fileKeyOf(there) !== fileKeyOf(stat);
}

function differs(target: string, told: string, found: string, depth: number): Refusal {
  return new Refusal(
    'chain-differs',
    `the definition has ${told} below ${depth === 1 ? 'the active image' : `image ${depth}`} of ${target}, and the images say ${found}`,
    { disk: target, depth },
    'have both say the same, with the domain off: qemu-img rebase -u writes a header; without <backingStore> in the definition, headers count',
  );
}
