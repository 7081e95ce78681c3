// All that opening a connection needs to know, from the text a person gave.
import { parseConnectionUri, serverName } from './connection-uri.ts';
import { resolveUri } from './default-uri.ts';
import { type ConnectionEnvironment, readEnvironment } from './environment.ts';
import { resolveTransport, type TransportPlan } from './transport-plan.ts';

export type Destination = {
  /** The URI meant: the one given, what its alias stands for, or the default. */
  readonly uri: string;
  /** What the daemon is asked to open. */
  readonly name: string;
  readonly plan: TransportPlan;
};

/**
 * Decides where a connection goes. Nothing is opened.
 *
 * @throws ConnectionUriError, or LibvirtConfError when libvirt.conf cannot be read.
 */
export function locate(
  given: string | undefined,
  options: { readonly readOnly?: boolean; readonly environment?: ConnectionEnvironment } = {},
): Destination {
  const environment = options.environment ?? readEnvironment();
  const text = resolveUri(given, environment);
  const uri = parseConnectionUri(text);
  return { uri: text, name: serverName(uri), plan: resolveTransport(uri, environment, options) };
}
