// Run by tests as a process of its own: starts a program on a host, says so, and waits to be killed.
// Arguments: the ssh destination as JSON or 'null', then the program's.
import { localHost } from '../host/local.ts';
import { sshHost } from '../host/ssh.ts';
import type { SshDestination } from '../host/ssh-connection.ts';

const [destination = 'null', how, ...argv] = process.argv.slice(2);
const parsed = JSON.parse(destination) as SshDestination | null;
const host = parsed ? sshHost(parsed) : localHost();
if (how === 'spawn') {
  const running = await host.spawn(argv);
  running.stdout.once('data', () => process.stdout.write('started\n'));
} else {
  await host.run(argv, { timeoutMs: 600_000, onStdout: () => process.stdout.write('started\n') });
}
