// The hosts on which every promise of Host is tested, and a directory for each test.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import type { Host } from '../host/host.ts';
import { localHost } from '../host/local.ts';
import { sshHost } from '../host/ssh.ts';
import type { SshDestination } from '../host/ssh-connection.ts';
import { startSshd, type TestSshd } from './sshd.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface HostUnderTest {
  readonly kind: 'localhost' | 'ssh';
  readonly host: Host;
  /** Where it is, for another process to go there; null for this machine. */
  readonly destination: SshDestination | null;
  /** The current test's own directory, and a path in it. */
  readonly directory: string;
  path(name: string): string;
}

/** Describes a promise once for this machine and once for the same machine over ssh. */
export function describeEachHost(what: string, tests: (on: HostUnderTest) => void): void {
  describe.each(['localhost', 'ssh'] as const)(`${what} (%s)`, (kind) => {
    let sshd: TestSshd | null = null;
    let host: Host;
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
    beforeAll(async () => {
      if (kind === 'ssh') sshd = await startSshd();
      host = sshd ? sshHost(sshd.destination) : localHost();
    });
    afterAll(async () => {
      await host.close();
      await sshd?.stop();
    });
    beforeEach(async () => {
      directory = await temporaryDirectory();
    });
    afterEach(() => directory.remove());
    tests({
      kind,
      get host() {
        return host;
      },
      get destination() {
        return sshd?.destination ?? null;
      },
      get directory() {
        return directory.path;
      },
      path: (name) => join(directory.path, name),
    });
  });
}
