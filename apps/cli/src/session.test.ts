// Where tools run, by the connection URI.
import { parseConnectionUri } from '@blockferry/libvirt';
import { describe, expect, it } from 'vitest';
import { hostOf } from './session.ts';

describe('the machine where tools run', () => {
  it.each(['qemu:///system', 'qemu:///session', 'qemu+unix:///system?socket=/run/x'])(
    'is this one: %s',
    (uri) => {
      expect(hostOf(parseConnectionUri(uri))).toEqual({ kind: 'here' });
    },
  );

  it.each(['qemu://host/system', 'qemu+tls://host/system', 'qemu+tcp://host/system'])(
    'is none that a connection over %s could reach',
    (uri) => {
      expect(hostOf(parseConnectionUri(uri))).toEqual({ kind: 'nowhere' });
    },
  );

  it('is reached by ssh exactly as the connection itself', () => {
    const uri = 'qemu+ssh://ada@host2:2222/system?keyfile=/k%20ey&no_verify=1&no_tty=1&command=/bin/myssh';
    expect(hostOf(parseConnectionUri(uri))).toEqual({
      kind: 'ssh',
      destination: {
        host: 'host2',
        user: 'ada',
        port: 2222,
        keyfile: '/k ey',
        command: '/bin/myssh',
        noVerify: true,
        noTty: true,
        options: [],
      },
    });
  });

  it('takes the host key that the connection itself takes', () => {
    const uri = 'qemu+libssh2://h/system?known_hosts=/k&known_hosts_verify=auto';
    const options = ['-o', 'UserKnownHostsFile="/k"', '-o', 'StrictHostKeyChecking=accept-new'];
    expect(hostOf(parseConnectionUri(uri))).toMatchObject({ destination: { options } });
  });

  it("leaves the user to ssh's own configuration, where libvirt does", () => {
    const here = (uri: string) => hostOf(parseConnectionUri(uri));
    expect(here('qemu+ssh://host2/system')).toMatchObject({
      destination: { host: 'host2', noVerify: false, noTty: false },
    });
    expect(here('qemu+ssh://host2/system')).not.toHaveProperty('destination.user');
    expect(here('qemu+libssh2://host2/system')).toHaveProperty('destination.user', 'root');
  });
});
