// Can QEMU get to the destination? It runs as a user of its own, and libvirt changes the owner of the file only.
import { dirname, join } from 'node:path';
import type { DiskSource, DomainXml } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { tlsDirectory } from '../storage/tls-credentials.ts';

// Asked of the kernel as that user, since access lists and groups count as well. Status 3: the first that refuses.
const AS_USER = `
groups=$(id -G "$1" 2>/dev/null | tr ' ' ,)
uid=$1 gid=$2; shift 2
exec setpriv --reuid "$uid" --regid "$gid" --groups "\${groups:-$gid}" sh -c '
  for need; do
    path=\${need#??}
    [ ! -e "$path" ] || test "-\${need%%:*}" "$path" || { printf %s "$need"; exit 3; }
  done' sh "$@"`;
const REFUSED = 3;

/** What QEMU must be able to do with a path: enter, read, write. */
type Need = `${'x' | 'r' | 'w'}:${string}`;

/**
 * Asks for the directories on the way, the socket of an NBD server or its certificates, the configuration of a Ceph. Nothing
 * is known, and so nothing refused, where we are not root.
 *
 * @throws Refusal `destination-unreachable`
 */
export async function mustBeReachable(host: Host, live: DomainXml, source: DiskSource): Promise<void> {
  const user = qemuUser(live);
  if (user === undefined) return;
  const needs = await needsOf(host, source);
  if (needs.length === 0) return;
  const { uid, gid } = user;
  const { code, stdout } = await host.run(['sh', '-c', AS_USER, 'sh', uid, gid, ...needs]);
  if (code !== REFUSED) return;
  const refused = stdout.slice(2);
  // A private key is not for everybody.
  const isKey = refused.endsWith(KEY);
  const [what, remedy] = stdout.startsWith('w')
    ? ['may not write to', `chmod o+rw ${refused}`]
    : stdout.startsWith('x')
      ? ['may not enter', `chmod o+x ${refused}`]
      : ['may not read', isKey ? `setfacl -m u:${uid}:r ${refused}` : `chmod o+r ${refused}`];
  throw new Refusal(
    'destination-unreachable',
    `QEMU (uid ${uid}) ${what} ${refused}`,
    { path: refused, uid, gid },
    `let it: ${remedy}`,
  );
}

const KEY = 'client-key.pem';

/** The ways first, from the root down: what is behind a closed one is not seen. */
async function needsOf(host: Host, source: DiskSource): Promise<readonly Need[]> {
  const waysTo = (path: string) => parentsOf(path).map((directory): Need => `x:${directory}`);
  if (source.kind === 'file') return waysTo(source.path);
  if (source.kind !== 'network') return [];
  const { config, tls } = source;
  const socket = socketOf(source);
  const certificates = source.protocol === 'nbd' && tls === true ? await certificatesOf(host) : [];
  return [
    ...(socket === undefined ? [] : [...waysTo(socket), `w:${socket}` as const]),
    ...[...(config === undefined ? [] : [config]), ...certificates].flatMap((path): Need[] => [
      ...waysTo(path),
      `r:${path}`,
    ]),
  ];
}

/** Read by QEMU itself, and not by us or libvirt. */
async function certificatesOf(host: Host): Promise<readonly string[]> {
  const directory = await tlsDirectory(host, 'nbd');
  return ['ca-cert.pem', 'client-cert.pem', KEY].map((name) => join(directory, name));
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
