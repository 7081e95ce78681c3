// The domain that is defined for a moment, so that libvirt says what it has against a definition. It never runs. Where blockferry
// died in that moment it is still there, and by its name and UUID known to be nobody's.
import { createHash } from 'node:crypto';
import {
  type Connection,
  type Domain,
  DomainUndefineFlags,
  ErrorCode,
  isLibvirtError,
} from '@blockferry/libvirt';

const PREFIX = 'blockferry-';

export interface Trial {
  readonly name: string;
  readonly uuid: string;
}

/** Its UUID follows from its name, as that of no other domain does (RFC 9562, version 8). */
export function trialOf(id: string): Trial {
  const name = `${PREFIX}${id}`;
  const hash = createHash('sha256').update(`urn:blockferry:trial:1:${name}`).digest('hex');
  const parts = [hash.slice(0, 8), hash.slice(8, 12), `8${hash.slice(13, 16)}`, `8${hash.slice(17, 20)}`];
  return { name, uuid: [...parts, hash.slice(20, 32)].join('-') };
}

/** Those that are left. One of a restore that is at work at this moment may be among them. */
export async function findTrials(connection: Connection, called?: string): Promise<readonly Domain[]> {
  const all = await connection.listAllDomains();
  return all.filter(({ name, uuid }) => {
    const isTrial = name.startsWith(PREFIX) && trialOf(name.slice(PREFIX.length)).uuid === uuid;
    return isTrial && (called === undefined || called === name || called.toLowerCase() === uuid);
  });
}

/** A restore that has defined it knows by then what it wanted to know. @returns false: it was gone, or somebody has started it */
export async function removeTrial(trial: Domain): Promise<boolean> {
  try {
    if (await trial.isActive()) return false;
    await trial.undefine(DomainUndefineFlags.KEEP_NVRAM);
    return true;
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return false;
    throw error;
  }
}

/** @returns their names */
export async function removeTrials(connection: Connection): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const trial of await findTrials(connection)) if (await removeTrial(trial)) removed.push(trial.name);
  return removed;
}
