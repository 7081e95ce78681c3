// A program that starts a host with a machine, says where, and waits to be killed (see host.real.test.ts).
import { startGuest } from '../guest/guest.ts';
import { startLibvirtHost } from './host.ts';

const host = await startLibvirtHost();
await startGuest(host, { name: 'vm', disks: [] });
const pids = [await host.libvirtdPid(), await host.qemuPid('vm')];
console.log(JSON.stringify({ directory: host.directory, pids }));
setInterval(() => {}, 1000);
