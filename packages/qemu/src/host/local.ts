// The machine we run on.
import { shellFiles } from './files.ts';
import type { Host } from './host.ts';
import { ShellPool } from './shell-pool.ts';
import { type Launcher, type Lease, runSupervised, spawnSupervised } from './supervised-process.ts';

/** This machine. Nothing is opened; close() ends what still runs. */
export function localHost(): Host {
  const name = 'localhost';
  const lease: Lease = { wrap: (argv) => argv, release: () => {} };
  const launcher: Launcher = { hostName: name, lease: async () => lease, running: new Set() };
  const files = new ShellPool(launcher);
  const run: Host['run'] = (argv, options = {}) => runSupervised(launcher, argv, options);
  return {
    name,
    isLocal: true,
    run,
    spawn: (argv, options = {}) => spawnSupervised(launcher, argv, options),
    ...shellFiles(name, (argv, options) => files.run(argv, options)),
    async close() {
      for (const running of launcher.running) {
        running.kill(running.error('closed', 'the host was closed', ''));
      }
    },
  };
}
