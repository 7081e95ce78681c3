// How much slower a guest's writes may become while its disk is copied.

/**
 * How many times its own the guest's mean write latency may become; `p95`: its 95th percentile too, which needs the histogram
 * that QEMU keeps when it is asked through its monitor (libvirt then marks the domain as tainted: custom-monitor).
 */
export type GuardBound = number | { readonly p95: number };

export function ratioOf(bound: GuardBound): number {
  return typeof bound === 'number' ? bound : bound.p95;
}
