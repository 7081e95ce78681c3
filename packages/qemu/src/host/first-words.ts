// A program that is started to hold something says so before it does nothing but that.
import type { HostProcess } from './host.ts';

/** What it says first on stdout; undefined when it ends before it says anything. Never throws. */
export async function firstWords({ stdout, exited }: HostProcess): Promise<string | undefined> {
  const said = new Promise<string>((resolve) => stdout.once('data', (data) => resolve(String(data))));
  const ended = exited.then(
    () => undefined,
    () => undefined,
  );
  return Promise.race([said, ended]);
}
