// The guest's agent through a real libvirtd and QEMU, answered by a scripted agent in a real guest; and without one.
import { agentDomainXml, type LibvirtHost, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Connection, connect, type Domain, ErrorCode } from '../../index.ts';

let host: LibvirtHost;
let connection: Connection;
let domain: Domain;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-agent' });
  connection = await connect(host.uri);
  domain = await connection.defineDomainXml(await agentDomainXml(host, { name: 'agent' }));
});
afterAll(async () => {
  await connection.close();
  await host.stop();
});

const code = (wanted: number) => expect.objectContaining({ name: 'LibvirtError', code: wanted });

describe('a guest with an agent', () => {
  beforeAll(async () => {
    await using states = await connection.subscribe('agentLifecycle', { domain });
    await domain.create();
    for await (const { state } of states) if (state === 'connected') break;
  });

  it('freezes and thaws', async () => {
    expect(await domain.fsFreeze()).toBe(2);
    expect(await domain.fsThaw()).toBe(2);
    expect(await domain.fsFreeze(['/', '/srv'])).toBe(2);
    expect(await domain.fsThaw()).toBe(2);
  });

  it('tells about itself', async () => {
    expect(await domain.fsInfo()).toEqual([
      { mountpoint: '/', name: 'vda1', fstype: 'ext4', deviceAliases: [] },
    ]);
    expect(await domain.guestInfo(8)).toEqual({ hostname: 'scripted' });
  });

  it('takes commands of one’s own', async () => {
    expect(await domain.agentCommand({ execute: 'guest-ping' })).toEqual({});
    await expect(domain.agentCommand({ execute: 'guest-nonsense' })).rejects.toMatchObject({
      name: 'LibvirtError',
      message: expect.stringContaining('no such command here'),
    });
  });

  it('that does not answer is given up after the time set for it', async () => {
    await domain.agentSetResponseTimeout(1);
    const silence = domain.agentCommand({ execute: 'guest-silence' }, 1);
    await expect(silence).rejects.toEqual(code(ErrorCode.AGENT_UNRESPONSIVE));
    await domain.agentSetResponseTimeout(-1);
  });
});

describe('a guest without an agent', () => {
  it('is refused at once, whatever is asked', async () => {
    const xml = `<domain type='qemu'><name>none</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>`;
    const none = await connection.createDomainXml(xml);
    const asked = [
      none.fsFreeze(),
      none.fsThaw(),
      none.fsInfo(),
      none.guestInfo(),
      none.agentCommand({ execute: 'guest-ping' }),
    ];
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'LibvirtError' } });
    }
    await none.destroy();
  });
});
