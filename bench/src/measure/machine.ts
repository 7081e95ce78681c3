// The machine that the figures belong to.
import { readFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { run } from '@blockferry/testbed';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly qemu: string;
  readonly libvirt: string;
  readonly node: string;
  /** The load when the bench began: above 1.5 somebody else was at work. */
  readonly loadAtStart: number;
}

/** Others at work make figures worth nothing to anybody else. */
export const QUIET_LOAD = 1.5;

export async function describeMachine(): Promise<Machine> {
  const qemu = await run(['qemu-system-x86_64', '--version']);
  const libvirt = await run(['libvirtd', '--version']);
  return {
    cpu: cpus()[0]?.model.trim() ?? (await readFile('/proc/cpuinfo', 'utf8')).slice(0, 60),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${release()} ${arch()}`,
    qemu: /version (\S+)/.exec(qemu.stdout)?.[1] ?? qemu.stdout.trim(),
    libvirt: /libvirt\D+(\S+)/.exec(libvirt.stdout)?.[1] ?? libvirt.stdout.trim(),
    node: process.version,
    loadAtStart: loadavg()[0] ?? 0,
  };
}
