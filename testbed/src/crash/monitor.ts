// QEMU's monitor spoken to directly, while no libvirtd is there: for what happens behind libvirt's back.
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';

export type BlockJob = { readonly device: string; readonly status: string; readonly ready: boolean };

type Answer = { readonly return?: unknown; readonly error?: { readonly desc: string } };

/**
 * Orders the pivot of the domain's one block job from QEMU itself, and returns when QEMU has carried it out. No libvirtd
 * may run: it holds the monitor. The libvirtd that starts later has not seen the order, nor the pivot.
 */
export async function pivotUnseen(host: LibvirtHost, domain: string, dismiss = false): Promise<void> {
  const monitor = await openMonitor(host, domain);
  try {
    const [job] = await jobs(monitor);
    if (job === undefined) throw new Error(`${domain} has no block job`);
    await monitor('block-job-complete', { device: job.device });
    await until('pivot', async () => {
      const left = await jobs(monitor);
      return left.every(({ status }) => status === 'concluded') || undefined;
    });
    if (dismiss) await monitor('job-dismiss', { id: job.device });
  } finally {
    await monitor.close();
  }
}

async function jobs(monitor: Monitor): Promise<readonly BlockJob[]> {
  return (await monitor('query-block-jobs')) as readonly BlockJob[];
}

type Monitor = ((execute: string, args?: object) => Promise<unknown>) & {
  readonly close: () => Promise<void>;
};

async function openMonitor(host: LibvirtHost, domain: string): Promise<Monitor> {
  const root = join(host.directory, 'lib/qemu');
  const own = (await readdir(root)).filter(
    (name) => name.startsWith('domain-') && name.endsWith(`-${domain}`),
  );
  const socket = connect(join(root, own[0] ?? '', 'monitor.sock'));
  const answers = lines(socket);
  const command = async (execute: string, args?: object): Promise<unknown> => {
    socket.write(`${JSON.stringify({ execute, ...(args && { arguments: args }) })}\n`);
    for (;;) {
      const { value } = await answers.next();
      if (value === undefined) throw new Error(`${domain}: the monitor closed`);
      const answer = JSON.parse(value) as Answer;
      if (answer.error !== undefined) throw new Error(`${execute}: ${answer.error.desc}`);
      if (answer.return !== undefined) return answer.return;
    }
  };
  const close = async () => {
    await new Promise<void>((resolve) => socket.end(resolve));
    socket.destroy();
  };
  await command('qmp_capabilities');
  return Object.assign(command, { close });
}

async function* lines(socket: Socket): AsyncGenerator<string, undefined> {
  let rest = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter((part) => part.trim() !== '');
  }
  return undefined;
}
