// What of the surroundings decides where a connection goes, gathered once so that the decision itself is pure.
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { type LibvirtConf, LibvirtConfError, parseLibvirtConf } from './libvirt-conf.ts';

export type ConnectionEnvironment = {
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** The effective user id; 0 is root. */
  readonly uid: number;
  readonly home: string;
  readonly exists: (path: string) => boolean;
  /** The client's configuration, /etc/libvirt/libvirt.conf or the user's own. */
  readonly conf: LibvirtConf;
};

/**
 * The surroundings of this process.
 *
 * @throws LibvirtConfError when the client's configuration cannot be read as one. A missing file is empty.
 */
export function readEnvironment(): ConnectionEnvironment {
  const uid = process.geteuid?.() ?? 0;
  const home = homedir();
  const file = confFile(process.env, uid, home);
  return {
    variables: process.env,
    uid,
    home,
    exists: existsSync,
    conf: existsSync(file) ? parseLibvirtConf(readConf(file), file) : {},
  };
}

function readConf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LibvirtConfError(file, undefined, reason, { cause });
  }
}

function confFile(variables: ConnectionEnvironment['variables'], uid: number, home: string): string {
  if (uid === 0) return '/etc/libvirt/libvirt.conf';
  return `${variables.XDG_CONFIG_HOME || `${home}/.config`}/libvirt/libvirt.conf`;
}
