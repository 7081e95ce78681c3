// Starts the process that owns a throw-away host and removes it when we end, whatever way we end.
import { type ChildProcess, spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export type Supervisor = {
  readonly directory: string;
  /** Process 1 of the host's PID namespace, as numbered outside it. */
  readonly initPid: number;
  /** Takes the host down and waits until its directory is gone. Does nothing the second time. */
  readonly remove: () => Promise<void>;
};

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Where hosts live: unix sockets allow some 100 bytes of path, and /tmp may be memory without direct I/O. */
const parentDirectory = () => process.env.BLOCKFERRY_TESTBED_DIR ?? '/var/tmp';

/**
 * Makes a host's directory and namespaces.
 * @throws {Error} with the supervisor's own words when the namespaces cannot be made (not root, no mount right).
 */
export async function supervise(name: string, readyWithinMs = 15_000): Promise<Supervisor> {
  const argv = [script('supervise.sh'), script('namespace.sh'), parentDirectory(), name];
  const child = spawn('bash', argv, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const [directory, initPid] = await answer(child, readyWithinMs);
  // A script that forgets to stop its host still ends, and the host with it.
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  }
  let removed: Promise<void> | undefined;
  return {
    directory,
    initPid,
    remove: () => {
      removed ??= removal(child, directory);
      return removed;
    },
  };
}

function answer(child: ChildProcess, readyWithinMs: number): Promise<readonly [string, number]> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (why: string) => {
      clearTimeout(timer);
      child.stdin?.end();
      reject(new Error(`cannot start a libvirt host: ${why}\n${said}`));
    };
    const timer = setTimeout(() => fail(`no answer after ${readyWithinMs} ms`), readyWithinMs);
    child.on('error', (cause) => fail(cause.message));
    child.on('exit', () => fail('its supervisor ended (root is needed for namespaces and mounts)'));
    child.stdin?.on('error', () => {}); // it may have ended already
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const ready = /^ready (\S+) (\d+)\n/m.exec(said);
      if (ready?.[1] === undefined) return;
      clearTimeout(timer);
      child.removeAllListeners('exit');
      resolve([ready[1], Number(ready[2])]);
    });
  });
}

async function removal(child: ChildProcess, directory: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.ref();
    const timer = setTimeout(() => reject(new Error(`${directory}: not taken down within 30 s`)), 30_000);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.stdin?.end();
  });
  const left = await access(directory).then(
    () => true,
    () => false,
  );
  if (left) throw new Error(`${directory} was left behind`);
}
