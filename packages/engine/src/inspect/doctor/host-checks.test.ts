// What is said of a host's tools where they cannot be asked for.
import { type Host, HostError } from '@blockferry/qemu';
import { expect, it } from 'vitest';
import { hostChecks } from './host-checks.ts';

const detail = 'Session open refused by peer';

function hostWith(code: 'unreachable' | 'not-found'): Host {
  const run: Host['run'] = async (argv) => {
    if (argv[0] === 'id') return { code: 0, signal: null, stdout: 'root\n', stderr: '' };
    throw new HostError(code, { host: 'far', command: argv.join(' '), detail, hint: '' });
  };
  return { name: 'far', run } as Partial<Host> as Host;
}

it('a host that lets in no more sessions is not one without tools', async () => {
  const checks = await hostChecks(hostWith('unreachable'));
  expect(checks).toMatchObject([{ id: 'host', status: 'missing', found: expect.stringContaining(detail) }]);
});

it('a host without tools is', async () => {
  const checks = await hostChecks(hostWith('not-found'));
  expect(checks.map(({ id, found }) => [id, found])).toContainEqual(['tool-qemu-img', 'not there']);
});
