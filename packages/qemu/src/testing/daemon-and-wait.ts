// Run by tests as a process of its own: starts a storage daemon on a host, says so, and waits to be killed.
// Arguments: the ssh destination as JSON or 'null', then the program to start as the daemon.
import { localHost } from '../host/local.ts';
import { sshHost } from '../host/ssh.ts';
import type { SshDestination } from '../host/ssh-connection.ts';
import { startStorageDaemon } from '../storage-daemon/start.ts';

const [destination = 'null', program = ''] = process.argv.slice(2);
const parsed = JSON.parse(destination) as SshDestination | null;
const daemon = await startStorageDaemon(parsed ? sshHost(parsed) : localHost(), { program });
process.stdout.write('started\n');
await daemon.qmp.ended;
