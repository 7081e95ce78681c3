// From the plan of a transport to the transport.
import type { TransportPlan } from '../uri/transport-plan.ts';
import type { UnixPlan } from '../uri/unix-sockets.ts';
import { connectChild } from './child.ts';
import { TransportFailed } from './failed.ts';
import { isNobodyThere, startSessionDaemon } from './session-daemon.ts';
import { connectSsh } from './ssh.ts';
import { connectTcp } from './tcp.ts';
import { connectTls } from './tls.ts';
import type { Transport } from './transport.ts';
import { connectUnix } from './unix.ts';

/**
 * Opens one transport; call it again for each further connection. A session daemon that is not there is started.
 *
 * @throws TransportFailed, or the signal's reason when it aborts first. Nothing is left open then, but a session
 * daemon that was started stays, and ends by itself.
 */
export async function openTransport(
  plan: TransportPlan,
  options: { signal?: AbortSignal } = {},
): Promise<Transport> {
  switch (plan.kind) {
    case 'unix':
      return await openUnix(plan, options);
    case 'ssh':
      return await connectSsh(plan, options);
    case 'tls':
      return await connectTls(plan, options);
    case 'tcp':
      return await connectTcp(plan.host, plan.port, options);
    case 'command':
      return await connectChild(plan.argv, `program ${plan.argv[0] ?? ''}`, options);
    default:
      return unreachable(plan);
  }
}

async function openUnix(plan: UnixPlan, options: { signal?: AbortSignal }): Promise<Transport> {
  const failures: unknown[] = [];
  for (const path of plan.candidates) {
    try {
      return await connectUnix(path, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      failures.push(error);
    }
  }
  const denied = failures.find((failure) => !isNobodyThere(failure));
  if (denied !== undefined) throw denied;
  if (plan.autostart !== undefined) return await startSessionDaemon(plan.autostart, options);
  throw nobodyListens(plan, failures);
}

function nobodyListens(plan: UnixPlan, failures: readonly unknown[]): TransportFailed {
  const [only] = failures;
  if (failures.length === 1 && only instanceof TransportFailed) return only;
  const details = failures.map((failure) =>
    failure instanceof TransportFailed ? failure.detail : String(failure),
  );
  return new TransportFailed(`unix socket ${plan.candidates.join(' or ')}`, details.join('; '), {
    cause: failures.at(-1),
  });
}

function unreachable(value: never): never {
  throw new TypeError(`unexpected ${JSON.stringify(value)}`);
}
