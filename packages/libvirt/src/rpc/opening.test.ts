// A way to the daemon on which no connection comes to be.
import { expect, it } from 'vitest';
import { connectChild } from '../transport/child.ts';
import { TransportFailed } from '../transport/failed.ts';
import { Deadline } from './deadline.ts';
import { JobLocks } from './job-locks.ts';
import { openRpc } from './opening.ts';

async function opening(script: string, timeoutMs = 10_000): Promise<unknown> {
  const transport = await connectChild(['sh', '-c', script], 'ssh to nowhere', {});
  return openRpc(transport, {
    name: 'qemu:///system',
    readonly: false,
    keepalive: null,
    deadline: new Deadline({}, timeoutMs),
    jobLocks: new JobLocks(),
  });
}

it.each([
  [
    'that ends, with the words of the program that went there',
    'echo no such host >&2; exit 255',
    'no such host',
  ],
  [
    'on which the shell of the far side talks first, with what it says',
    'echo "Welcome to nowhere, ada!"; exec sleep 60',
    'what comes from there is not of libvirt: text where a message would begin: "Welcome to nowhere, ada!"',
  ],
])('is told as a host that was never reached: one %s', async (_, script, words) => {
  const failed = opening(script);
  await expect(failed).rejects.toThrow(TransportFailed);
  await expect(failed).rejects.toThrow(`cannot connect to libvirt through ssh to nowhere: ${words}`);
});

it('is told as a host that was never reached: one that stays silent', async () => {
  const failed = opening('exec sleep 60', 200);
  await expect(failed).rejects.toThrow(TransportFailed);
  await expect(failed).rejects.toThrow(
    'cannot connect to libvirt through ssh to nowhere: no answer within 0.2 s',
  );
});
