// Public surface of this package.

export type { Found, WriterPlan } from './guest/blocks.ts';
export {
  type DiskSource,
  type DiskSpec,
  type DomainSpec,
  diskXml,
  domainXml,
  type GuestWriter,
} from './guest/domain-xml.ts';
export {
  Guest,
  type GuestSpec,
  type GuestStats,
  guestWriter,
  type Region,
  startGuest,
} from './guest/guest.ts';
export type { Acknowledged, BadReadback, DiskError, Life } from './guest/report.ts';
export { type Lost, type Verification, type VerifiedImage, verifyAcknowledged } from './guest/verify.ts';
export { LibvirtHost, type LibvirtHostOptions, startLibvirtHost } from './libvirt-host/host.ts';
export { RunError, type RunOptions, type RunResult, run } from './process/run.ts';
export { until } from './process/until.ts';
