// guestfish (libguestfs) as a dialogue: one command after the other, read-only, on one raw disk.
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Host, HostProcess } from '../host/host.ts';
import type { ChainView } from './chain-view.ts';
import { quoteForGuestfish } from './quote.ts';

/** guestfish refused a command, or ended. */
export class GuestfishError extends Error {
  override readonly name = 'GuestfishError';
  /** guestfish's command. */
  readonly command: string;

  constructor(command: string, stderr: string) {
    super(`guestfish ${command}: ${plainWords(stderr)}`);
    this.command = command;
  }
}

const PACKAGE_HINT =
  'apt-get install libguestfs-tools (Debian, Ubuntu) or dnf install guestfs-tools (Fedora, RHEL)';

/** What to install where there is no guestfish. */
export function guestfishPackages(): string {
  return PACKAGE_HINT;
}

/**
 * libguestfs takes KVM, with the host's own kind of CPU, wherever the device is there; where that does not work (in many
 * nested machines) it fails, so QEMU is asked first to start such a machine, which takes 30 ms.
 *
 * The status is guestfish's own, its stdout a pipe: it opens /dev/stdout by name, which a socket cannot be. It leaves its
 * temporary files in the view's directory, which goes even if we are killed: the supervisor then sends SIGTERM, at which
 * the shell does not wait for guestfish, whose machine may take longer to end than it is given.
 */
const SCRIPT = `
directory=$1 uri=$2
trap 'rm -rf -- "$directory"' EXIT
trap 'exit 143' TERM INT HUP
: "\${LIBGUESTFS_BACKEND:=direct}"
export LIBGUESTFS_BACKEND LIBGUESTFS_TMPDIR="$directory"
qemu=qemu-system-$(uname -m)
case $qemu in *x86_64) machine=q35 ;; *) machine=virt ;; esac
kvm_fails() {
  command -v "$qemu" >/dev/null && ! echo quit | timeout 10 "$qemu" -machine "$machine" -accel kvm -cpu host -m 16 \
    -nodefaults -display none -monitor stdio
}
if [ -z "\${LIBGUESTFS_BACKEND_SETTINGS+set}" ] && kvm_fails >/dev/null 2>&1; then
  export LIBGUESTFS_BACKEND_SETTINGS=force_tcg
fi
exec 3<&0
{ guestfish --ro --format=raw -a "$uri" <&3; echo $? >"$directory/status"; } | cat &
wait $!
exit "$(cat "$directory/status")"`;

const MOST_OUTPUT = 64 * 1024 * 1024;
const STOP_MS = 10_000;

export class Guestfish implements AsyncDisposable {
  readonly #process: HostProcess;
  readonly #output: AsyncIterator<Buffer>;
  readonly #stopOnAbort: () => void;
  readonly #signal: AbortSignal;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(running: HostProcess, signal: AbortSignal) {
    this.#process = running;
    this.#output = chunksOf(running.stdout);
    this.#signal = signal;
    this.#stopOnAbort = () => running.stdin.end();
    signal.addEventListener('abort', this.#stopOnAbort, { once: true });
  }

  /** Starts it; its machine boots with the command `run`. Ends with us. @throws HostError */
  static async start(host: Host, view: ChainView, signal: AbortSignal): Promise<Guestfish> {
    signal.throwIfAborted();
    const argv = ['sh', '-c', SCRIPT, 'sh', view.directory, view.uri];
    return new Guestfish(await host.spawn(argv), signal);
  }

  /** A command's output. @throws GuestfishError, after which nothing more can be asked; the signal's reason */
  run(command: string, ...args: readonly (string | Uint8Array)[]): Promise<Buffer> {
    return this.#ask(command, lineOf(command, args));
  }

  /** The same of a command that may fail: its output is empty then. */
  attempt(command: string, ...args: readonly (string | Uint8Array)[]): Promise<Buffer> {
    return this.#ask(command, `-${lineOf(command, args)}`);
  }

  /**
   * A file's bytes, as they come. The last thing that is asked: guestfish ends with it.
   *
   * @throws GuestfishError when it is no file, or ends before its end; the signal's reason
   */
  async *download(path: string): AsyncGenerator<Buffer> {
    this.#process.stdin.write(`${lineOf('download', [path, '/dev/stdout'])}\nquit\n`);
    for (let next = await this.#output.next(); !next.done; next = await this.#output.next()) yield next.value;
    await this.#mustHaveEndedWell('download');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#stopOnAbort);
    this.#process.stdin.write('quit\n');
    // What nobody reads any more must not keep it from ending.
    await this.#output.return?.();
    const killing = setTimeout(() => this.#process.kill(), STOP_MS);
    await this.#process.exited.catch(() => {});
    clearTimeout(killing);
  }

  async #ask(command: string, line: string): Promise<Buffer> {
    this.#signal.throwIfAborted();
    const mark = `end-${randomBytes(12).toString('hex')}`;
    this.#process.stdin.write(`${line}\necho ${mark}\n`);
    const end = Buffer.from(`${mark}\n`);
    for (let from = 0; ; ) {
      const at = this.#rest.indexOf(end, from);
      if (at >= 0) {
        const output = this.#rest.subarray(0, at);
        this.#rest = this.#rest.subarray(at + end.length);
        return output;
      }
      from = Math.max(0, this.#rest.length - end.length);
      const next = await this.#output.next();
      if (next.done) return await this.#failed(command);
      this.#rest = Buffer.concat([this.#rest, next.value]);
      if (this.#rest.length > MOST_OUTPUT) throw new GuestfishError(command, 'its answer is too long');
    }
  }

  async #mustHaveEndedWell(command: string): Promise<void> {
    const { code } = await this.#process.exited;
    this.#signal.throwIfAborted();
    if (code !== 0) throw new GuestfishError(command, this.#process.stderr());
  }

  async #failed(command: string): Promise<never> {
    await this.#process.exited;
    this.#signal.throwIfAborted();
    throw new GuestfishError(command, this.#process.stderr());
  }
}

function lineOf(command: string, args: readonly (string | Uint8Array)[]): string {
  return [command, ...args.map(quoteForGuestfish)].join(' ');
}

async function* chunksOf(stream: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of stream) yield Buffer.from(chunk);
}

/** Its last word, without its own names. */
function plainWords(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const [first] = lines.filter((line) => line.includes('error:'));
  const words = first ?? lines.findLast((line) => line !== '') ?? 'it ended';
  return words.replace(/^\*stdin\*:\d+: /, '').replace(/^(libguestfs: |guestfish: )?(error: )?/, '');
}
