// libvirt is asked what it has against the definition that a restore ends with: it would say so when all has been copied.
import {
  type Connection,
  DomainXml,
  ErrorCode,
  isLibvirtError,
  type LibvirtError,
} from '@blockferry/libvirt';
import { Refusal } from '../model/errors.ts';
import type { Warning } from '../preflight/warning.ts';
import type { RestorePreflight } from './request.ts';
import { removeTrial, trialOf } from './trial.ts';

const CANNOT_START = 'cannot-start';

/**
 * Would QEMU be started for it? The host's devices are left out of the question: libvirt has no answer for them before they
 * are given away.
 */
export async function warningOfLibvirt(connection: Connection, definition: DomainXml): Promise<Warning[]> {
  const asked = DomainXml.parse(definition.toString());
  asked.removeDevices('hostdev');
  const error = await objection(connection.domainXmlToNative(asked.toString()));
  if (error === undefined) return [];
  const message = `libvirt would not start the domain here as it is defined: ${error.message}`;
  return [{ code: CANNOT_START, message }];
}

/**
 * It defines much that it would not start. Where there is something against a start, only a definition tells: it is made under
 * a name of its own, and undone.
 *
 * @throws Refusal `definition-refused`
 */
export async function mustBeTaken(
  connection: Connection,
  { plan: { id }, definition, warnings }: RestorePreflight,
): Promise<void> {
  if (!warnings.some(({ code }) => code === CANNOT_START)) return;
  const trial = DomainXml.parse(definition.toString());
  const { name, uuid } = trialOf(id);
  trial.becomeAnother(name, uuid);
  const defining = connection.defineDomainXml(trial.toString());
  const error = await objection(defining);
  if (error === undefined) {
    await removeTrial(await defining);
    return;
  }
  throw new Refusal(
    'definition-refused',
    `libvirt refuses the definition of the point: ${error.message}`,
    {},
    'give this host what it lacks (the emulator, a later QEMU); or copy the images out of the point (qemu-img convert), and define a domain for them',
    { cause: error },
  );
}

async function objection(call: Promise<unknown>): Promise<LibvirtError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (!isLibvirtError(error)) throw error;
    // Who may not ask, or cannot, learns it later.
    const silent = [ErrorCode.NO_SUPPORT, ErrorCode.ACCESS_DENIED];
    return silent.some((code) => error.code === code) ? undefined : error;
  }
}
