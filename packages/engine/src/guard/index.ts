// The guard: protects the guest's write latency while a bulk copy runs.
export type { Doing } from './control.ts';
export { Guard, type GuardSummary, type GuardVerdict } from './guard.ts';
export type { LatencySample, Tally } from './latency.ts';
export type { GuardOptions } from './policy.ts';
export { LatencySampler, type SampledDomain, type SamplerOptions } from './sampler.ts';
export { hearBaseline, type SupervisedCopy, type SuperviseOptions, superviseCopy } from './supervise.ts';
