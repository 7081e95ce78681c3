// All that a refusal must leave alone, as text to be compared: definitions, block jobs, files.
import { type LibvirtHost, run } from '@blockferry/testbed';

/**
 * Every domain's live and persistent definition and block jobs, and every file below `directories` with its inode,
 * owner, mode, size and time of change. Of directories only that they are there: a destination is tried by making a
 * file in its directory that is unlinked before it is written.
 */
export async function hostState(host: LibvirtHost, directories: readonly string[]): Promise<string> {
  const names = (await host.virsh('list', '--all', '--name')).split('\n').filter((name) => name !== '');
  const parts: string[] = [];
  for (const name of names.sort()) parts.push(await domainState(host, name));
  const format = ['%p %y %i %U:%G %m %s %T@\\n', '%p %y %i %U:%G %m\\n'];
  for (const directory of directories) {
    const argv = [
      'find',
      directory,
      '-type',
      'd',
      '-printf',
      format[1] ?? '',
      '-o',
      '-printf',
      format[0] ?? '',
    ];
    // 1: the directory is not there, which is a state as well.
    parts.push((await run(argv, { accept: [0, 1] })).stdout.split('\n').sort().join('\n'));
  }
  return parts.join('\n');
}

async function domainState(host: LibvirtHost, name: string): Promise<string> {
  const state = (await host.virsh('domstate', name)).trim();
  // One virsh for all of it: many would take their time on a busy machine.
  const live = await host.virsh(`dumpxml ${name}; dumpxml --inactive ${name}`);
  const targets = new Set(
    [...live.matchAll(/<target dev='(\w+)' bus='virtio'/g)].map(([, target]) => target),
  );
  const jobs =
    state === 'shut off'
      ? ''
      : await host.virsh([...targets].map((target) => `blockjob ${name} ${target} --raw`).join('; '));
  return [name, state, live, jobs].join('\n');
}
