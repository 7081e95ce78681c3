// Where the host's QEMU has its TLS certificates for NBD, so that our own look at an export uses the same.
import type { Host, Image } from '@blockferry/qemu';
import type { ImageRef } from '../model/record.ts';
import { toImage } from './to-image.ts';

/** libvirt's default_tls_x509_cert_dir as it is compiled in. */
export const DEFAULT_TLS_DIRECTORY = '/etc/pki/qemu';
const QEMU_CONF = '/etc/libvirt/qemu.conf';

/**
 * As toImage, for opening it on `host`: with TLS, the certificates are those that libvirt gives to QEMU
 * (virQEMUDriverConfigSetDefaults: nbd_tls_x509_cert_dir, else its default where that exists, else
 * default_tls_x509_cert_dir).
 *
 * @throws Refusal `unsupported-storage`
 */
export async function toOpenableImage(host: Host, ref: ImageRef): Promise<Image> {
  const image = toImage(ref);
  const { location } = image;
  if (location.kind !== 'nbd' || location.tls === undefined) return image;
  const directory = await tlsDirectory(host, 'nbd');
  return { ...image, location: { ...location, tls: { ...location.tls, directory } } };
}

/** Where the certificates of this host are that libvirt gives to QEMU for this use. @throws HostError */
export async function tlsDirectory(host: Host, use: 'nbd' | 'migrate'): Promise<string> {
  const text = await qemuConf(host);
  const configured = settingOf(text, `${use}_tls_x509_cert_dir`);
  if (configured !== undefined) return configured;
  const own = `/etc/pki/libvirt-${use}`;
  if ((await host.stat(own)) !== null) return own;
  return settingOf(text, 'default_tls_x509_cert_dir') ?? DEFAULT_TLS_DIRECTORY;
}

/** What the host's qemu.conf sets; undefined: nothing, or nobody knows. @throws HostError */
export async function qemuSetting(host: Host, name: string): Promise<string | undefined> {
  return settingOf(await qemuConf(host), name);
}

/** Only root may read the file; libvirt's defaults are the best guess for anyone else. */
async function qemuConf(host: Host): Promise<string> {
  return (await host.readFile(QEMU_CONF).catch(() => null)) ?? '';
}

function settingOf(text: string, name: string): string | undefined {
  const lines = [...text.matchAll(/^\s*(\w+)\s*=\s*"([^"]*)"/gm)];
  return lines.findLast(([, key]) => key === name)?.[2];
}
