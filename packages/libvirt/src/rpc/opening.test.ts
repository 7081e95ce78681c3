// A way to the daemon that ends before the connection is open.
import { expect, it } from 'vitest';
import { connectChild } from '../transport/child.ts';
import { TransportFailed } from '../transport/failed.ts';
import { Deadline } from './deadline.ts';
import { JobLocks } from './job-locks.ts';
import { openRpc } from './opening.ts';

it('is told as what it is, a host that was never reached, with the words of the program that went there', async () => {
  const script = 'echo ssh: no such host >&2; exit 255';
  const transport = await connectChild(['sh', '-c', script], 'ssh to nowhere', {});
  const opening = openRpc(transport, {
    name: 'qemu:///system',
    readonly: false,
    keepalive: null,
    deadline: new Deadline({}, 10_000),
    jobLocks: new JobLocks(),
  });
  await expect(opening).rejects.toThrow(TransportFailed);
  await expect(opening).rejects.toThrow(
    'cannot connect to libvirt through ssh to nowhere: ssh: no such host',
  );
});
