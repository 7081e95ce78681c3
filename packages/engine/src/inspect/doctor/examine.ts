// All that a host needs to have its disks moved, looked at in one go. Changes nothing.
import { dirname } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { messageOf } from '../../model/errors.ts';
import type { Context } from '../../run/context.ts';
import { type Check, missing, ok } from './check.ts';
import { confinementCheck, hostChecks, imageChecks } from './host-checks.ts';
import { connects, libvirtChecks } from './libvirt-checks.ts';

export type { Check, CheckStatus } from './check.ts';

/**
 * Looks at everything, and goes on past what is missing.
 *
 * @param here the machine we run on, whose `stateDirectory` holds our notes
 */
export async function examine(context: Context, here: Host, stateDirectory: string): Promise<Check[]> {
  const { check, connection } = await connects(context.link);
  const checks = [check];
  if (connection !== undefined) checks.push(...(await libvirtChecks(connection)));
  const tools = await hostChecks(context.host);
  checks.push(...tools);
  const reachable =
    context.host !== undefined && tools.every(({ id, status }) => id !== 'host' || status === 'ok');
  if (connection !== undefined) {
    if (context.host !== undefined && reachable) checks.push(await imageChecks(connection, context.host));
    checks.push(await confinementCheck(connection, reachable ? context.host : undefined));
  }
  checks.push(await stateCheck(here, stateDirectory));
  return checks;
}

/** May we write there, or make it? Nothing is made. */
async function stateCheck(here: Host, directory: string): Promise<Check> {
  const [id, title] = ['state-directory', 'state directory'];
  const remedy = `make it writable for this user, or name another one: BLOCKFERRY_STATE_DIR=DIR`;
  try {
    for (let path = directory; ; path = dirname(path)) {
      if ((await here.stat(path)) === null) continue;
      if (!(await here.access(path, 'w'))) return missing(id, title, `${path} is not writable`, remedy);
      return ok(id, title, path === directory ? directory : `${directory}, made when it is needed`);
    }
  } catch (error) {
    return missing(id, title, messageOf(error), remedy);
  }
}
