// Looks at hosts, domains and moves without changing them; and clears what ended moves left behind.
export { allocatedBytes, allocatedTo } from './allocated.ts';
export { type ChainEntry, type ChainReport, inspectChains } from './chain.ts';
export { type Check, type CheckStatus, examine } from './doctor/examine.ts';
export { type DiskSummary, type DomainSummary, listDomains } from './domains.ts';
export { findLeftovers, type Leftover, removeLeftover } from './leftovers.ts';
export { type MoveStatus, statusOf } from './move-status.ts';
export { meansDestinationOf } from './same-destination.ts';
export * from './trees/index.ts';
