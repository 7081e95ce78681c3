// Run by tests as a process of its own: writes a file on a host, and waits to be killed on the way.
// Arguments: the ssh destination as JSON or 'null', the file, and a directory of programs that are to be found first.
import { localHost } from '../host/local.ts';
import { sshHost } from '../host/ssh.ts';
import type { SshDestination } from '../host/ssh-connection.ts';

const [destination = 'null', path = '', programs = ''] = process.argv.slice(2);
process.env.PATH = `${programs}:${process.env.PATH}`;
const parsed = JSON.parse(destination) as SshDestination | null;
const host = parsed ? sshHost(parsed) : localHost();
const written = host.writeFileAtomic(path, 'text', { timeoutMs: 60_000 });
process.stdout.write('started\n');
await written;
