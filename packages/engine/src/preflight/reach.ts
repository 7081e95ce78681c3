// Can QEMU get to the destination? It runs as a user of its own, and libvirt changes the owner of the file only.
import { dirname } from 'node:path';
import type { DiskSource, DomainXml } from '@blockferry/libvirt';
import { type Host, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';

// Asked of the kernel as that user, since access lists and groups count as well. Status 3: the first that refuses.
const AS_USER = `
groups=$(id -G "$1" 2>/dev/null | tr ' ' ,)
uid=$1 gid=$2; shift 2
exec setpriv --reuid "$uid" --regid "$gid" --groups "\${groups:-$gid}" sh -c '
  socket=$1 conf=$2; shift 2
  for directory; do [ -x "$directory" ] || [ ! -e "$directory" ] || { printf %s "$directory"; exit 3; }; done
  [ -w "$socket" ] || [ ! -e "$socket" ] || { printf %s "$socket"; exit 3; }
  [ -r "$conf" ] || [ ! -e "$conf" ] || { printf %s "$conf"; exit 3; }' sh "$@"`;
const REFUSED = 3;

/**
 * Asks for the directories on the way, the socket of an NBD server, the configuration of a Ceph. Nothing is known, and so nothing refused,
 * where we are not root.
 *
 * @throws Refusal `destination-unreachable`
 */
export async function mustBeReachable(host: Host, live: DomainXml, source: DiskSource): Promise<void> {
  const user = qemuUser(live);
  const socket = socketOf(source);
  const conf = source.kind === 'network' ? source.config : undefined;
  const path = source.kind === 'file' ? source.path : (socket ?? conf);
  if (user === undefined || path === undefined) return;
  const { uid, gid } = user;
  const directories = parentsOf(path);
  const argv = ['sh', '-c', AS_USER, 'sh', uid, gid, socket ?? '', conf ?? '', ...directories];
  const { code, stdout: refused } = await host.run(argv);
  if (code !== REFUSED) return;
  const name = quoteArgument(refused);
  const [what, remedy] =
    refused === socket
      ? ['may not write to', `chmod o+rw ${name}`]
      : refused === conf
        ? ['may not read', `chmod o+r ${name}`]
        : ['may not enter', `chmod o+x ${name}`];
  throw new Refusal(
    'destination-unreachable',
    `QEMU (uid ${uid}) ${what} ${refused}`,
    { path: refused, uid, gid },
    `let it: ${remedy}`,
  );
}

/** The user that libvirt's DAC driver runs this domain's QEMU as; undefined for root or where it sets none. */
function qemuUser(live: DomainXml): { readonly uid: string; readonly gid: string } | undefined {
  const label = /<seclabel[^>]*model='dac'[^>]*>\s*<label>\+?(\d+):\+?(\d+)<\/label>/.exec(live.toString());
  const [, uid, gid] = label ?? [];
  return uid === undefined || gid === undefined || uid === '0' ? undefined : { uid, gid };
}

function socketOf(source: DiskSource): string | undefined {
  return source.kind === 'network' ? source.hosts.find(({ socket }) => socket)?.socket : undefined;
}

/** From the root down. */
function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    parents.unshift(at);
    if (at === dirname(at)) return parents;
  }
}
