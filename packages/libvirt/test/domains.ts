// Domains for tests on a real daemon: QEMU with disks and no operating system, running in a fraction of a second.

import { join } from 'node:path';
import { type LibvirtHost, run } from '@blockferry/testbed';
import type { Connection, Domain } from '../src/index.ts';

export interface TestDomain {
  readonly domain: Domain;
  readonly xml: string;
  /** The path of the image of vda. */
  readonly image: string;
}

export interface TestDomainOptions {
  /** Bytes; default 16 MiB. */
  readonly size?: bigint;
  readonly extraDevices?: string;
  readonly started?: boolean;
}

/** A qcow2 image below the host's images. */
export async function makeImage(
  host: LibvirtHost,
  name: string,
  bytes: bigint,
  ...more: string[]
): Promise<string> {
  const path = join(host.imagesDir, name);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...more, path, String(bytes)]);
  return path;
}

export function xmlOf(name: string, image: string, extraDevices = ''): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='${image}'/><target dev='vda' bus='virtio'/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    ${extraDevices}
  </devices>
</domain>`;
}

/** Defines a persistent domain with one qcow2 disk, vda, and starts it. */
export async function makeDomain(
  host: LibvirtHost,
  connection: Connection,
  name: string,
  options: TestDomainOptions = {},
): Promise<TestDomain> {
  const image = await makeImage(host, `${name}.qcow2`, options.size ?? 16_777_216n);
  const xml = xmlOf(name, image, options.extraDevices);
  const defined = await connection.defineDomainXml(xml);
  const domain = options.started === false ? defined : await startAndHear(connection, defined);
  return { domain, xml, image };
}

/** Returns when the start has been told too: the daemon may do that after its answer, to later subscribers as well. */
async function startAndHear(connection: Connection, defined: Domain): Promise<Domain> {
  await using changes = await connection.subscribe('lifecycle', { domain: defined });
  const domain = await defined.create();
  for await (const { event } of changes) if (event === 'started') break;
  return domain;
}

/** A destination for a block copy: a qcow2 file that libvirt is to create. */
export function destination(path: string): string {
  return `<disk type='file'><driver type='qcow2'/><source file='${path}'/></disk>`;
}
