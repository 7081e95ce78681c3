// A domain's life and definition on a real daemon.
import { type LibvirtHost, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeDomain, makeImage, type TestDomain, xmlOf } from '../../../test/domains.ts';
import {
  type Connection,
  connect,
  DomainAffectFlags,
  DomainCreateFlags,
  DomainDestroyFlags,
  type DomainEvent,
  DomainJobStatsFlags,
  DomainListFlags,
  DomainMetadataType,
  DomainPausedReason,
  DomainXmlFlags,
  ErrorCode,
  type EventName,
} from '../../index.ts';

let host: LibvirtHost;
let connection: Connection;
let vm: TestDomain;
let count = 0;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-running' });
  connection = await connect(host.uri);
});
beforeEach(async () => {
  for (const each of await connection.listAllDomains(DomainListFlags.ACTIVE)) await each.destroy();
  count++;
  vm = await makeDomain(host, connection, `vm${count}`);
});
afterAll(async () => {
  await connection.close();
  await host.stop();
});

const code = (wanted: number) => expect.objectContaining({ name: 'LibvirtError', code: wanted });

/** What `event` tells while `act` runs and after, up to and including the first that is the `last`. */
async function during<E extends EventName>(
  event: E,
  act: () => Promise<unknown>,
  last: (event: DomainEvent<E>) => boolean = () => true,
): Promise<readonly DomainEvent<E>[]> {
  const seen: DomainEvent<E>[] = [];
  await using stream = await connection.subscribe(event);
  await act();
  for await (const each of stream) {
    seen.push(each);
    if (last(each)) break;
  }
  return seen;
}

describe('starting and stopping', () => {
  it('is told as it happens', async () => {
    const { domain } = vm;
    let stops = 0;
    const changes = await during(
      'lifecycle',
      async () => {
        await domain.suspend();
        expect(await domain.getState()).toEqual({ state: 'paused', reason: DomainPausedReason.USER });
        await domain.resume();
        expect(await domain.getState()).toMatchObject({ state: 'running' });
        await domain.destroy(DomainDestroyFlags.GRACEFUL);
        expect(await domain.getState()).toMatchObject({ state: 'shutoff' });
        const paused = await domain.create(DomainCreateFlags.PAUSED);
        expect(paused.id).toBeGreaterThan(domain.id);
        await paused.destroy();
      },
      ({ event }) => event === 'stopped' && ++stops === 2,
    );
    // Whether QEMU is heard to shut down before it is gone is a matter of luck.
    const told = changes.filter(({ event }) => event !== 'shutdown');
    expect(told.map(({ event, detail }) => `${event} ${detail}`)).toEqual([
      'suspended paused',
      'resumed unpaused',
      'stopped destroyed',
      'started booted',
      'suspended paused',
      'stopped destroyed',
    ]);
    expect(changes.every((change) => change.domain.uuid === domain.uuid)).toBe(true);
  });

  it('through the guest: asked to shut down or reboot, a guest without an operating system does not mind', async () => {
    await vm.domain.shutdown();
    await vm.domain.reboot();
    await vm.domain.reset();
    expect(await vm.domain.isActive()).toBe(true);
  });

  it('of a transient domain: it is gone when it stops, and makes itself known meanwhile', async () => {
    const image = await makeImage(host, `transient${count}.qcow2`, 1_048_576n);
    const domain = await connection.createDomainXml(xmlOf(`transient${count}`, image));
    expect(await domain.isPersistent()).toBe(false);
    expect(await domain.isActive()).toBe(true);
    await domain.destroy();
    await expect(domain.isActive()).rejects.toEqual(code(ErrorCode.NO_DOMAIN));
  });

  it('saves the memory, and starts from it', async () => {
    const { domain } = vm;
    await domain.managedSave();
    expect(await domain.hasManagedSave()).toBe(true);
    expect(await domain.managedSaveXml()).toContain(`<name>${domain.name}</name>`);
    expect(await domain.isActive()).toBe(false);
    const changes = await during(
      'lifecycle',
      () => domain.create(),
      ({ event }) => event === 'resumed',
    );
    expect(changes[0]).toMatchObject({ event: 'started', detail: 'restored' });
    expect(await domain.hasManagedSave()).toBe(false);
    await domain.managedSave();
    await domain.removeManagedSave();
    expect(await domain.hasManagedSave()).toBe(false);
  });

  it('of what runs not is refused with a typed error', async () => {
    await vm.domain.destroy();
    await expect(vm.domain.suspend()).rejects.toEqual(code(ErrorCode.OPERATION_INVALID));
    await expect(vm.domain.controlInfo()).rejects.toEqual(code(ErrorCode.OPERATION_INVALID));
  });

  it('dies with the connection that asked for that', async () => {
    await vm.domain.destroy();
    const own = await connect(host.uri);
    const changes = await during(
      'lifecycle',
      async () => {
        await (await own.lookupDomainByUuid(vm.domain.uuid)).create(DomainCreateFlags.AUTODESTROY);
        await own.close();
      },
      ({ event }) => event === 'stopped',
    );
    expect(changes.at(-1)).toMatchObject({ event: 'stopped', detail: 'destroyed' });
  });
});

describe('the definition', () => {
  it('has a live and a persistent form', async () => {
    const { domain } = vm;
    expect(await domain.isPersistent()).toBe(true);
    expect(await domain.isUpdated()).toBe(false);
    expect(await domain.getXmlDesc()).toContain("<alias name='virtio-disk0'/>");
    expect(await domain.getXmlDesc(DomainXmlFlags.INACTIVE)).not.toContain('<alias');
    expect(await domain.getXmlDesc(DomainXmlFlags.SECURE | DomainXmlFlags.MIGRATABLE)).toContain(domain.uuid);
  });

  it('can be replaced while the domain runs, and removed', async () => {
    const { domain } = vm;
    const persistent = await domain.getXmlDesc(DomainXmlFlags.INACTIVE);
    await connection.defineDomainXml(persistent.replace('<vcpu', '<description>new</description><vcpu'));
    expect(await domain.getXmlDesc(DomainXmlFlags.INACTIVE)).toContain('<description>new</description>');
    expect(await domain.getXmlDesc()).not.toContain('<description>');
    const [removed] = await during('lifecycle', () => domain.undefine());
    expect(removed).toMatchObject({ event: 'undefined', detail: 'removed' });
    expect(await domain.isPersistent()).toBe(false);
  });

  it('is refused when it is no domain', async () => {
    await expect(connection.defineDomainXml('<domain/>')).rejects.toMatchObject({ name: 'LibvirtError' });
    await expect(connection.defineDomainXml('<dom')).rejects.toEqual(code(ErrorCode.XML_DETAIL));
  });

  it('says whether it starts by itself', async () => {
    expect(await vm.domain.getAutostart()).toBe(false);
    await vm.domain.setAutostart(true);
    expect(await vm.domain.getAutostart()).toBe(true);
    await vm.domain.setAutostart(false);
  });

  it('can have another name', async () => {
    await vm.domain.destroy();
    await vm.domain.rename(`renamed${count}`);
    expect((await connection.lookupDomainByUuid(vm.domain.uuid)).name).toBe(`renamed${count}`);
  });
});

describe('metadata', () => {
  const uri = 'https://blockferry.example/move/1';
  const { ELEMENT, TITLE } = DomainMetadataType;
  const { LIVE, CONFIG } = DomainAffectFlags;

  it('is kept live and in the definition by one call, and told by one event', async () => {
    const { domain } = vm;
    const record = '<move disk="vda"/>';
    const events = await during('metadataChange', () =>
      domain.setMetadata(ELEMENT, record, 'bf', uri, LIVE | CONFIG),
    );
    expect(events[0]).toMatchObject({ type: 'element', uri });
    expect(await domain.getMetadata(ELEMENT, uri, LIVE)).toBe(record);
    expect(await domain.getMetadata(ELEMENT, uri, CONFIG)).toBe(record);
    expect(await domain.getMetadata(ELEMENT, uri)).toBe(record);
  });

  it('is removed by null', async () => {
    const { domain } = vm;
    await domain.setMetadata(TITLE, 'A title', null, null, LIVE);
    expect(await domain.getMetadata(TITLE, null, LIVE)).toBe('A title');
    await expect(domain.getMetadata(TITLE, null, CONFIG)).rejects.toEqual(code(ErrorCode.NO_DOMAIN_METADATA));
    await domain.setMetadata(TITLE, null, null, null, LIVE);
    await expect(domain.getMetadata(TITLE, null, LIVE)).rejects.toEqual(code(ErrorCode.NO_DOMAIN_METADATA));
  });

  it('carries any text', async () => {
    const text = 'ñ 漢字 🚢 <&>" \'\n\ttabs';
    await vm.domain.setMetadata(DomainMetadataType.DESCRIPTION, text, null, null, LIVE | CONFIG);
    expect(await vm.domain.getMetadata(DomainMetadataType.DESCRIPTION, null, CONFIG)).toBe(text);
  });
});

describe('devices', () => {
  const disk = (path: string) =>
    `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${path}'/><target dev='sda' bus='scsi'/></disk>`;

  it('come and go', async () => {
    const controller = "<controller type='scsi' model='virtio-scsi'/>";
    const { domain } = await makeDomain(host, connection, `devices${count}`, { extraDevices: controller });
    const xml = disk(await makeImage(host, `extra${count}.qcow2`, 1_048_576n));
    const [added] = await during('deviceAdded', () => domain.attachDevice(xml, DomainAffectFlags.LIVE));
    expect(added?.alias).toBe('scsi0-0-0-0');
    await domain.updateDevice(xml, DomainAffectFlags.LIVE);
    const [removed] = await during('deviceRemoved', () => domain.detachDevice(xml, DomainAffectFlags.LIVE));
    expect(removed?.alias).toBe('scsi0-0-0-0');
    await expect(domain.detachDevice(xml, DomainAffectFlags.LIVE)).rejects.toMatchObject({
      name: 'LibvirtError',
    });
  });
});

describe('QEMU itself', () => {
  it('answers on its monitor, and its errors are errors', async () => {
    const { domain } = vm;
    expect(await domain.monitorCommand({ execute: 'query-status' })).toMatchObject({ status: 'running' });
    expect(await domain.humanMonitorCommand('info status')).toContain('running');
    await expect(domain.monitorCommand({ execute: 'no-such-thing' })).rejects.toMatchObject({
      name: 'MonitorError',
      command: 'no-such-thing',
      errorClass: 'CommandNotFound',
    });
    expect(await domain.messages()).toEqual([expect.stringContaining('custom monitor')]);
  });

  it('tells its own events', async () => {
    await using stream = await connection.subscribeMonitor({ event: 'STOP', domain: vm.domain });
    await vm.domain.suspend();
    const { value: event } = await stream.next();
    expect(event).toMatchObject({ event: 'STOP', domain: { uuid: vm.domain.uuid } });
    expect(event?.microsecondsSinceEpoch).toBeGreaterThan(1_700_000_000_000_000n);
  });

  it('has no job, and says so', async () => {
    expect(await vm.domain.jobStats()).toEqual({ type: 'none', stats: {} });
    expect(await vm.domain.jobStats(DomainJobStatsFlags.COMPLETED)).toMatchObject({ type: 'none' });
    await expect(vm.domain.abortJob()).rejects.toEqual(code(ErrorCode.OPERATION_INVALID));
  });

  it('dying is told', async () => {
    const changes = await during(
      'lifecycle',
      () => host.killQemu(vm.domain.name),
      ({ event }) => event === 'stopped',
    );
    expect(changes.at(-1)).toMatchObject({
      event: 'stopped',
      detail: 'failed',
      domain: { uuid: vm.domain.uuid },
    });
  });

  it('reset is told by a reboot event', async () => {
    const [reboot] = await during('reboot', () => vm.domain.reset());
    expect(reboot?.domain.uuid).toBe(vm.domain.uuid);
  });
});
