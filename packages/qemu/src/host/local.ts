// The machine we run on.
import { ShellFiles } from './files.ts';
import type { Forward, Host, HostProcess, RunOptions, RunResult, SpawnOptions } from './host.ts';
import { ShellPool } from './shell-pool.ts';
import { type Launcher, runSupervised, spawnSupervised } from './supervised-process.ts';

class LocalHost extends ShellFiles implements Host {
  override readonly name = 'localhost';
  readonly isLocal = true;
  readonly #launcher: Launcher = {
    hostName: this.name,
    lease: async () => ({ wrap: (argv) => argv, release: () => {}, doubt: () => {} }),
    running: new Set(),
  };

  readonly #shells = new ShellPool(this.#launcher);

  run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return runSupervised(this.#launcher, argv, options);
  }

  spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<HostProcess> {
    return spawnSupervised(this.#launcher, argv, options);
  }

  protected override runShort(argv: readonly string[], options: RunOptions): Promise<RunResult> {
    return this.#shells.run(argv, options);
  }

  async bring(socket: string): Promise<Forward> {
    return itself(socket);
  }

  async expose(socket: string): Promise<Forward> {
    return itself(socket);
  }

  async close(): Promise<void> {
    for (const running of this.#launcher.running)
      running.kill(running.error('closed', 'the host was closed', ''));
  }
}

function itself(socket: string): Forward {
  return { socket, [Symbol.asyncDispose]: async () => {} };
}

/** This machine. Nothing is opened; close() ends what still runs. */
export function localHost(): Host {
  return new LocalHost();
}
