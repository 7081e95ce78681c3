// One connection of the system's ssh (a ControlMaster) that commands share, each costing one round trip.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Forward } from './host.ts';
import { quoteCommand } from './shell.ts';

/** Where to and how, in the terms of ssh and of libvirt's connection URIs. */
export interface SshDestination {
  readonly host: string;
  readonly user?: string;
  readonly port?: number;
  readonly keyfile?: string;
  /** Take any host key (`no_verify=1`). */
  readonly noVerify?: boolean;
  /** Never ask for a password or passphrase (`no_tty=1`). */
  readonly noTty?: boolean;
  /** More of ssh's arguments. */
  readonly options?: readonly string[];
  /** The ssh program; default 'ssh'. */
  readonly command?: string;
  /** Default 30 s, so that a person can still type a passphrase. */
  readonly connectTimeoutMs?: number;
  /** How long the far side waits for a sign of life before it ends what runs there; default 30 s. */
  readonly silenceSeconds?: number;
}

/** sshd's default MaxSessions is 10; one of them carries the signs of life. */
export const MAX_SESSIONS = 7;
const CONNECT_TIMEOUT_MS = 30_000;
const FORWARD_TIMEOUT_MS = 10_000;
/** As long as libvirtd waits for its clients. */
const SILENCE_SECONDS = 30;
/** A socket's path has 108 bytes, of which ssh takes 17 for a temporary suffix, and we 19. */
const LONGEST_TMPDIR = 70;

// When this machine or the way to it is gone without a word, sshd knows nothing of it for hours (TCP keepalive, and by
// default no ClientAliveInterval), and what holds locks and images there would stand in everybody's way. So it is told
// regularly that we are there, and ends its connection, with all that runs over it, when it is not.
const LISTENER = `
case $(cat /proc/$PPID/comm) in sshd*) ;; *) exit ;; esac
until sign=$(timeout "$1" head -c 1); status=$?; [ $status = 124 ]; do
  [ $status = 0 ] && [ -n "$sign" ] || exit
done
kill $PPID`;

// The master lives in the foreground of a shell that ends it when our end of the pipe closes, however we die. It keeps
// our terminal, to ask for a passphrase, but not our Ctrl-C.
const KEEPER = `
dir=$1 pause=$2 listener=$3
shift 3
trap '' INT QUIT HUP
exec 3<&0
"$@" </dev/null 3<&- &
master=$!
{ cat <&3 >/dev/null; kill $master; } 2>/dev/null &
watcher=$!
{ until [ -S "$dir/s" ]; do kill -0 $master || exit; sleep 0.01; done; echo ready
  exec >/dev/null
  while sleep "$pause" && printf .; do :; done | eval "$listener"; } 2>/dev/null &
exec 3<&-
wait $master
rm -rf -- "$dir"
kill $watcher 2>/dev/null`;

export class SshConnection {
  /** Sessions in use; the owner counts. */
  sessions = 0;
  /** Something over it was cut off. It may still be whole: what runs over it goes on, but nothing new is begun. */
  isDoubted = false;
  #forwards = 0;
  readonly #keeper: ChildProcess;
  readonly #directory: string;
  readonly #ssh: string;
  #state: 'connecting' | 'ready' | 'ended' = 'connecting';
  #stderr = '';
  readonly #ready = Promise.withResolvers<void>();

  private constructor(destination: SshDestination, directory: string) {
    this.#directory = directory;
    this.#ssh = destination.command ?? 'ssh';
    const { silenceSeconds = SILENCE_SECONDS } = destination;
    const listener = this.wrap(['/bin/sh', '-c', LISTENER, 'blockferry', String(silenceSeconds)]);
    const signs = [String(silenceSeconds / 6), quoteCommand(listener)];
    const argv = [
      '-c',
      KEEPER,
      'blockferry',
      directory,
      ...signs,
      ...masterCommand(destination, this.#socket),
    ];
    const detached = destination.noTty === true;
    this.#keeper = spawn('/bin/sh', argv, { detached, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#keeper.stdin?.on('error', () => {});
    this.#keeper.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-4096);
    });
    this.#keeper.stdout?.once('data', () => {
      this.#state = 'ready';
      this.#ready.resolve();
    });
    this.#keeper.on('error', (error) => this.#end(error.message));
    this.#keeper.on('close', () => this.#end(this.#stderr.trim() || 'ssh ended'));
    this.#ready.promise.catch(() => {});
  }

  /** Connects. Throws Error with ssh's own words. */
  static async open(destination: SshDestination, signal: AbortSignal): Promise<SshConnection> {
    const directory = await mkdtemp(
      join(tmpdir().length < LONGEST_TMPDIR ? tmpdir() : '/tmp', 'blockferry-'),
    );
    const connection = new SshConnection(destination, directory);
    const timer = setTimeout(() => {
      connection.#end('no connection in time');
      connection.close();
    }, destination.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
    const abort = () => {
      connection.#end('given up');
      connection.close();
    };
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    try {
      await connection.#ready.promise;
      return connection;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  get isOpen(): boolean {
    return this.#state === 'ready';
  }

  /** The local command that runs a command on the other side, through this connection only. */
  wrap(argv: readonly string[]): string[] {
    // Without its master, ssh would connect anew by itself: the failing proxy stops it. No config file: all of that
    // was the master's business.
    return [this.#ssh, '-T', ...this.#options, '--', 'blockferry', `exec ${quoteCommand(argv)}`];
  }

  /** A socket here that leads to one there. @throws Error with ssh's own words */
  async bring(socket: string): Promise<Forward> {
    this.#forwards += 1;
    const here = join(this.#directory, `f${this.#forwards}`);
    await this.#ask('forward', ['-L', `${here}:${socket}`]);
    const close = () =>
      this.#ask('cancel', ['-L', `${here}:${socket}`]).then(() => rm(here, { force: true }));
    return { socket: here, [Symbol.asyncDispose]: () => close().catch(() => {}) };
  }

  /** A socket there, at `path`, that leads to one here. sshd leaves its file behind. @throws Error with ssh's own words */
  async expose(socket: string, path: string): Promise<Forward> {
    await this.#ask('forward', ['-R', `${path}:${socket}`]);
    const close = () => this.#ask('cancel', ['-R', `${path}:${socket}`]);
    return { socket: path, [Symbol.asyncDispose]: () => close().then(undefined, () => {}) };
  }

  get #options(): string[] {
    const quiet = ['-o', 'LogLevel=ERROR', '-o', 'BatchMode=yes'];
    return ['-F', 'none', '-S', this.#socket, '-o', 'ProxyCommand=false', ...quiet];
  }

  async #ask(what: 'forward' | 'cancel', forwarding: readonly string[]): Promise<void> {
    const argv = ['-O', what, ...this.#options, ...forwarding, '--', 'blockferry'];
    await promisify(execFile)(this.#ssh, argv, { timeout: FORWARD_TIMEOUT_MS });
  }

  /** Ends the connection, and with it what runs over it. */
  close(): void {
    this.#keeper.stdin?.destroy();
    this.#keeper.stdout?.destroy();
    this.#keeper.stderr?.destroy();
    this.#keeper.unref();
  }

  get #socket(): string {
    return join(this.#directory, 's');
  }

  #end(why: string): void {
    this.#ready.reject(new Error(why));
    this.#state = 'ended';
    // The keeper does it too, unless it never started.
    rm(this.#directory, { recursive: true, force: true }).catch(() => {});
  }
}

function masterCommand(destination: SshDestination, socket: string): string[] {
  const { host, user, port, keyfile, noVerify, noTty, options = [], command = 'ssh' } = destination;
  return [
    command,
    ...['-M', '-N', '-T', '-S', socket, '-e', 'none'],
    ...[
      '-o',
      'ControlPersist=no',
      '-o',
      'ClearAllForwardings=yes',
      '-o',
      'ForwardAgent=no',
      '-o',
      'ForwardX11=no',
    ],
    ...['-o', 'RemoteCommand=none', '-o', 'PermitLocalCommand=no'],
    ...['-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=3', '-o', 'ConnectTimeout=15'],
    ...(noTty ? ['-o', 'BatchMode=yes'] : []),
    ...(noVerify ? ['-o', 'StrictHostKeyChecking=no'] : []),
    ...options,
    ...(keyfile === undefined ? [] : ['-i', keyfile]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(user === undefined ? [] : ['-l', user]),
    ...['--', host],
  ];
}
