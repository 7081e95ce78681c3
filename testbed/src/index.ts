// Public surface of this package.
export { LibvirtHost, type LibvirtHostOptions, startLibvirtHost } from './libvirt-host/host.ts';
