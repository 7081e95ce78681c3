// Where a connection goes, decided from the URI and the surroundings alone.
import { describe, expect, it } from 'vitest';
import { parseConnectionUri } from './connection-uri.ts';
import { resolveUri } from './default-uri.ts';
import type { ConnectionEnvironment } from './environment.ts';
import { ConnectionUriError } from './errors.ts';
import { resolveTransport, type TransportPlan } from './transport-plan.ts';

type Surroundings = {
  uid?: number;
  variables?: Record<string, string>;
  files?: readonly string[];
  conf?: ConnectionEnvironment['conf'];
};

const surroundings = (given: Surroundings = {}): ConnectionEnvironment => ({
  uid: given.uid ?? 0,
  home: '/home/me',
  variables: given.variables ?? {},
  exists: (path) => given.files?.includes(path) ?? false,
  conf: given.conf ?? {},
});

const plan = (uri: string, given: Surroundings = {}, readOnly = false): TransportPlan =>
  resolveTransport(parseConnectionUri(uri), surroundings(given), { readOnly });

const codeOf = (uri: string, given: Surroundings = {}): string => {
  try {
    plan(uri, given);
  } catch (error) {
    if (error instanceof ConnectionUriError) return error.code;
    throw error;
  }
  return 'accepted';
};

const user = { uid: 1000, variables: { XDG_RUNTIME_DIR: '/run/user/1000' } };
const system = '/var/run/libvirt';
const session = '/run/user/1000/libvirt';

describe('the URI when none is given', () => {
  it('is LIBVIRT_DEFAULT_URI, then uri_default, then that of root or of the user', () => {
    const conf = { uriDefault: 'test:///default' };
    expect(
      resolveUri(undefined, surroundings({ variables: { LIBVIRT_DEFAULT_URI: 'qemu:///a' }, conf })),
    ).toBe('qemu:///a');
    expect(resolveUri('', surroundings({ variables: { LIBVIRT_DEFAULT_URI: '' }, conf }))).toBe(
      'test:///default',
    );
    expect(resolveUri(undefined, surroundings())).toBe('qemu:///system');
    expect(resolveUri(undefined, surroundings({ uid: 1000 }))).toBe('qemu:///session');
  });

  it('may be an alias, as may the one given', () => {
    const conf = { uriDefault: 'lab', uriAliases: new Map([['lab', 'qemu+ssh://lab/system']]) };
    expect(resolveUri(undefined, surroundings({ conf }))).toBe('qemu+ssh://lab/system');
    expect(resolveUri('lab', surroundings({ conf }))).toBe('qemu+ssh://lab/system');
    expect(resolveUri('other', surroundings({ conf }))).toBe('other');
  });
});

describe('the system daemon', () => {
  it.each<[string, Surroundings, string[]]>([
    [
      'modular where its socket is',
      { files: [`${system}/virtqemud-sock`, `${system}/libvirt-sock`] },
      [`${system}/virtqemud-sock`, `${system}/libvirt-sock`],
    ],
    ['libvirtd where only its socket is', { files: [`${system}/libvirt-sock`] }, [`${system}/libvirt-sock`]],
    ['either where neither socket is', {}, [`${system}/virtqemud-sock`, `${system}/libvirt-sock`]],
    [
      'modular only, when libvirt.conf says so',
      { conf: { remoteMode: 'direct' } },
      [`${system}/virtqemud-sock`],
    ],
    [
      'for an ordinary user too',
      { uid: 1000, files: [`${system}/libvirt-sock`] },
      [`${system}/libvirt-sock`],
    ],
  ])('is %s', (_what, given, candidates) => {
    expect(plan('qemu:///system', given)).toEqual({ kind: 'unix', candidates });
  });

  it('is the one the URI names', () => {
    expect(plan('qemu:///system?mode=legacy')).toMatchObject({ candidates: [`${system}/libvirt-sock`] });
    expect(plan('qemu:///system?mode=direct')).toMatchObject({ candidates: [`${system}/virtqemud-sock`] });
    expect(plan('qemu+unix:///system?socket=/s&mode=direct')).toEqual({ kind: 'unix', candidates: ['/s'] });
    expect(codeOf('qemu:///system?mode=sideways')).toBe('bad-parameter');
  });

  it('has a read-only socket', () => {
    expect(plan('qemu:///system?mode=legacy', {}, true)).toMatchObject({
      candidates: [`${system}/libvirt-sock-ro`],
    });
  });

  it('is also the session of root', () => {
    expect(plan('qemu:///session?mode=legacy')).toEqual({
      kind: 'unix',
      candidates: [`${system}/libvirt-sock`],
    });
  });

  it('of the driver "remote" is whoever listens on the common socket', () => {
    expect(plan('remote:///')).toEqual({ kind: 'unix', candidates: [`${system}/libvirt-sock`] });
  });
});

describe('the session daemon', () => {
  it('listens in the runtime directory, and is started when it is not there', () => {
    expect(plan('qemu:///session', { ...user, files: ['/usr/sbin/libvirtd'] })).toEqual({
      kind: 'unix',
      candidates: [`${session}/virtqemud-sock`, `${session}/libvirt-sock`],
      autostart: { argv: ['/usr/sbin/libvirtd', '--timeout=120'], socket: `${session}/libvirt-sock` },
    });
  });

  it('is the modular one where that is installed', () => {
    const files = ['/usr/sbin/libvirtd', '/usr/sbin/virtqemud'];
    const autostart = { argv: ['/usr/sbin/virtqemud', '--timeout=120'], socket: `${session}/virtqemud-sock` };
    expect(plan('qemu:///session', { ...user, files })).toMatchObject({ autostart });
  });

  it('is found in the directory that VIRTD_PATH or LIBVIRTD_PATH names, and only there', () => {
    const files = ['/usr/sbin/libvirtd', '/opt/libvirtd'];
    const argv = ['/opt/libvirtd', '--timeout=120'];
    for (const name of ['VIRTD_PATH', 'LIBVIRTD_PATH']) {
      const variables = { ...user.variables, [name]: '/opt' };
      expect(plan('qemu:///session', { ...user, variables, files })).toMatchObject({ autostart: { argv } });
    }
    expect(plan('qemu:///session', { uid: 1, variables: { VIRTD_PATH: '/none' }, files })).not.toHaveProperty(
      'autostart',
    );
  });

  it('is not started where that is forbidden, for a given socket, or on another host', () => {
    const files = ['/usr/sbin/libvirtd'];
    const variables = { ...user.variables, LIBVIRT_AUTOSTART: '0' };
    expect(plan('qemu:///session', { ...user, variables, files })).not.toHaveProperty('autostart');
    expect(plan('qemu:///session?socket=/s', { ...user, files })).toEqual({
      kind: 'unix',
      candidates: ['/s'],
    });
  });

  it.each<[Record<string, string>, string]>([
    [{}, '/home/me/.cache/libvirt/libvirt-sock'],
    [{ XDG_RUNTIME_DIR: '' }, '/home/me/.cache/libvirt/libvirt-sock'],
    [{ XDG_CACHE_HOME: '/c' }, '/c/libvirt/libvirt-sock'],
  ])('listens in the cache without a runtime directory: %j', (variables, socket) => {
    expect(plan('qemu:///session?mode=legacy', { uid: 1, variables })).toMatchObject({
      candidates: [socket],
    });
  });

  it('has no read-only socket', () => {
    expect(plan('qemu:///session?mode=legacy', user, true)).toMatchObject({
      candidates: [`${session}/libvirt-sock`],
    });
  });
});

describe('TLS', () => {
  it('uses the files of /etc/pki, and the default port', () => {
    const identity = {
      certificate: '/etc/pki/libvirt/clientcert.pem',
      key: '/etc/pki/libvirt/private/clientkey.pem',
    };
    const files = ['/etc/pki/CA/cacrl.pem', ...Object.values(identity)];
    expect(plan('qemu://h/system', { files })).toEqual({
      kind: 'tls',
      host: 'h',
      port: 16514,
      verify: true,
      files: { ca: '/etc/pki/CA/cacert.pem', crl: '/etc/pki/CA/cacrl.pem', identity },
    });
  });

  it('uses all files of ?pkipath=, and believes anyone with ?no_verify=1', () => {
    const files = ['/p/clientcert.pem', '/p/clientkey.pem'];
    expect(plan('qemu+tls://h:1/system?pkipath=/p&no_verify=1', { files })).toEqual({
      kind: 'tls',
      host: 'h',
      port: 1,
      verify: false,
      files: { ca: '/p/cacert.pem', identity: { certificate: '/p/clientcert.pem', key: '/p/clientkey.pem' } },
    });
  });

  it("prefers a user's own identity and authority, each for itself, and needs both halves of an identity", () => {
    const own = '/home/me/.pki/libvirt';
    const files = [`${own}/cacert.pem`, `${own}/clientcert.pem`];
    expect(plan('qemu://h/system', { uid: 1, files })).toMatchObject({ files: { ca: `${own}/cacert.pem` } });
    expect(plan('qemu://h/system', { uid: 1, files: [`${own}/clientkey.pem`, ...files] })).toMatchObject({
      files: { identity: { certificate: `${own}/clientcert.pem` } },
    });
    expect(plan('qemu://h/system', { uid: 0, files })).toMatchObject({
      files: { ca: '/etc/pki/CA/cacert.pem' },
    });
  });

  it('says that it cannot follow GnuTLS priorities rather than ignore them', () => {
    expect(codeOf('qemu://h/system?tls_priority=NORMAL')).toBe('unsupported');
  });
});

describe('other ways', () => {
  it('TCP has its port', () => {
    expect(plan('qemu+tcp://h/system')).toEqual({ kind: 'tcp', host: 'h', port: 16509 });
  });

  it('ext runs a program, which it must be told', () => {
    expect(plan('qemu+ext:///system?command=/bin/way')).toEqual({ kind: 'command', argv: ['/bin/way'] });
    expect(codeOf('qemu+ext:///system')).toBe('missing-parameter');
  });

  it('only a unix socket can be a modular daemon asked for by name', () => {
    expect(codeOf('qemu+ssh://h/system?mode=direct')).toBe('conflict');
    expect(codeOf('qemu+ssh://h/system', { conf: { remoteMode: 'direct' } })).toBe('accepted');
  });
});
