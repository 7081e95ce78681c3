// Do the variables of the domain's firmware come along? Looked at on both hosts; nothing is changed.
import type { DomainXml, NvramDefinition } from '@blockferry/libvirt';
import { type FileStat, type Host, quoteArgument } from '@blockferry/qemu';
import { messageOf, Refusal } from '../../model/errors.ts';
import { formatBytes } from '../../model/sizes.ts';
import type { Bytes } from '../../model/units.ts';
import { answered, mustHaveDirectory } from '../../preflight/look.ts';
import { mustBeReachable } from '../../preflight/reach.ts';
import type { Pair } from '../pair.ts';
import type { DomainState } from '../record.ts';
import { LARGEST_STATE, sumOf } from '../state.ts';
import { atDestination } from './destination.ts';

export interface BroughtNvram {
  readonly state: DomainState;
  /** What it takes there. */
  readonly bytes: Bytes;
}

/**
 * The file comes to the path that the definition names, which is the same on both hosts. One that is not there yet, of a
 * domain that was never started, is made by libvirt of its template at the first start, on either host.
 *
 * @returns undefined: there is none for us to bring
 * @throws Refusal `has-nvram`, `destination-exists`, `no-such-directory`, `destination-unreachable`, `missing-file`
 */
export async function mustBringNvram(
  { home, away }: Pair,
  definition: DomainXml,
  { offline }: { readonly offline: boolean },
): Promise<BroughtNvram | undefined> {
  const { nvram, name } = definition;
  if (nvram === undefined) return undefined;
  if (nvram.isElsewhere && offline) {
    throw stays(name, 'they are in no file', 'start it: a live migration takes them along');
  }
  const { path } = nvram;
  if (nvram.isElsewhere || path === undefined) return undefined;
  await mustBeFree(away.host, name, path);
  await atDestination(mustHaveDirectory(away.host, path));
  await atDestination(mustBeReachable(away.host, definition, { kind: 'file', path }));
  const here = await fileAt(home.host, name, path);
  if (here === null) await mustHaveTemplate(away.host, nvram);
  return { state: { kind: 'nvram', path }, bytes: here?.size ?? 0n };
}

function stays(name: string, why: string, hint: string): Refusal {
  const message = `the variables of ${name}'s firmware (NVRAM) cannot come along: ${why}`;
  return new Refusal('has-nvram', message, {}, hint);
}

async function fileAt(host: Host, name: string, path: string): Promise<FileStat | null> {
  const stat = await answered(path, host.stat(path));
  if (stat === null) return null;
  if (stat.type !== 'file')
    throw stays(name, `${path} is a ${stat.type}`, 'put them into a file: virsh edit');
  if (stat.size > LARGEST_STATE) {
    throw stays(name, `${path} has ${formatBytes(stat.size)}`, 'no firmware has as many: virsh edit');
  }
  await sumOf(host, path).catch((error: unknown) => {
    throw stays(name, messageOf(error), 'run blockferry as a user who may read it');
  });
  return stat;
}

/** Of whatever kind: it would be written over, by libvirt's migration too. */
async function mustBeFree(host: Host, name: string, path: string): Promise<void> {
  if ((await answered(path, host.stat(path, { followSymlinks: false }))) === null) return;
  throw new Refusal(
    'destination-exists',
    `the destination has ${path}, where the firmware of ${name} keeps its variables`,
    { path },
    `if ${name} left it there when it was migrated: blockferry cleanup ${quoteArgument(name)} --delete-source; if nobody needs it, move it away there: mv ${quoteArgument(path)} ${quoteArgument(`${path}.old`)}`,
  );
}

async function mustHaveTemplate(host: Host, { template }: NvramDefinition): Promise<void> {
  if (template === undefined || (await answered(template, host.stat(template))) !== null) return;
  throw new Refusal(
    'missing-file',
    `the variables of the firmware are made of ${template} at the first start, which the destination does not have`,
    { path: template },
    'copy it there, or install the same firmware',
  );
}
