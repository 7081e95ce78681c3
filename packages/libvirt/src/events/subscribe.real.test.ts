// Every event can be asked for on a real daemon: its number and its registration are right.
import { type LibvirtHost, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDomain } from '../../test/domains.ts';
import { type Connection, connect, type Domain, type EventName } from '../index.ts';

let host: LibvirtHost;
let connection: Connection;
let domain: Domain;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-events' });
  connection = await connect(host.uri);
  domain = (await makeDomain(host, connection, 'vm', { started: false })).domain;
});
afterAll(async () => {
  await connection.close();
  await host.stop();
});

describe('every event that this daemon has', () => {
  const events: readonly EventName[] = [
    ...(['lifecycle', 'reboot', 'rtcChange', 'watchdog', 'ioError', 'graphics', 'ioErrorReason'] as const),
    ...(['controlError', 'blockJob', 'diskChange', 'trayChange', 'pmWakeup', 'pmSuspend'] as const),
    ...([
      'balloonChange',
      'pmSuspendDisk',
      'deviceRemoved',
      'blockJob2',
      'tunable',
      'agentLifecycle',
    ] as const),
    ...(['deviceAdded', 'migrationIteration', 'jobCompleted', 'deviceRemovalFailed'] as const),
    ...(['metadataChange', 'blockThreshold', 'memoryFailure', 'memoryDeviceSizeChange'] as const),
  ];

  it.each(events)('%s can be subscribed to, of all domains and of one, and left', async (event) => {
    await using all = await connection.subscribe(event);
    await using one = await connection.subscribe(event, { domain: domain });
    expect([all.buffered, one.buffered]).toEqual([0, 0]);
  });
});
