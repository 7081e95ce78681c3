// QEMU's monitor spoken to directly, while no libvirtd is there: for what happens behind libvirt's back.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { connectQmp, type QmpClient } from '@blockferry/qemu';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';

/**
 * Orders the pivot of the domain's one block job from QEMU itself, and returns when QEMU has carried it out. No libvirtd
 * may run: it holds the monitor. The libvirtd that starts later has not seen the order, nor the pivot.
 *
 * @param dismiss nothing of the job is left for it to find
 */
export async function pivotUnseen(host: LibvirtHost, domain: string, dismiss = false): Promise<void> {
  const monitor = await connectQmp(await socketOf(host, domain));
  try {
    const [job] = await jobsOf(monitor);
    if (job === undefined) throw new Error(`${domain} has no block job`);
    await monitor.executeRaw('block-job-complete', { device: job.id });
    await until('the pivot', async () => {
      const left = await jobsOf(monitor);
      return left.every(({ status }) => status === 'concluded') || undefined;
    });
    if (dismiss) await monitor.execute('job-dismiss', { id: job.id });
  } finally {
    monitor.close();
  }
}

function jobsOf(monitor: QmpClient): Promise<readonly { readonly id: string; readonly status: string }[]> {
  return monitor.execute('query-jobs');
}

async function socketOf(host: LibvirtHost, domain: string): Promise<string> {
  const root = join(host.directory, 'lib/qemu');
  const own = (await readdir(root)).filter(
    (name) => /^domain-\d+-/.test(name) && name.endsWith(`-${domain}`),
  );
  return join(root, own.at(-1) ?? '', 'monitor.sock');
}
