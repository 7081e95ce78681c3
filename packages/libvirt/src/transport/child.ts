// A transport over the stdin and stdout of a child process: ssh, or the program of transport "ext".
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { TransportFailed } from './failed.ts';
import type { Transport, TransportEnd } from './transport.ts';

/** How much of stderr is kept for the error: its end, where the reason stands. */
const keptStderr = 8_192;
/**
 * How long after the child's exit its stderr is still read. It does not end when ssh leaves a shared connection
 * in the background (ControlPersist), which inherits it.
 */
const lastWordsMs = 250;

/**
 * Starts `argv` as a byte stream. SIGINT does not reach the child: Ctrl-C on the terminal means us, and we want
 * the connection for a clean end. The child keeps the terminal, so that ssh can ask for a passphrase there.
 *
 * It resolves when the child runs, which does not mean that anyone answers: if the program is missing or ssh
 * fails, `ended` says why.
 *
 * @throws TransportFailed when no process can be started, and the signal's reason when it aborts first.
 */
export function connectChild(
  argv: readonly string[],
  description: string,
  options: { signal?: AbortSignal } = {},
): Promise<Transport> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    // An ignored signal stays ignored across exec, and ssh respects that.
    const child = spawn('/bin/sh', ['-c', 'trap "" INT; exec "$@"', argv[0] ?? '', ...argv], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.once('error', (cause) => reject(new TransportFailed(description, cause.message, { cause })));
    child.once('spawn', () => {
      const transport = childTransport(child, description);
      if (signal?.aborted !== true) return resolve(transport);
      transport.close();
      reject(signal.reason);
    });
  });
}

function childTransport(child: ChildProcessWithoutNullStreams, description: string): Transport {
  const stream = childStream(child);
  return {
    stream,
    description,
    ended: endOf(child),
    close: () => {
      stream.destroy();
    },
  };
}

/** One duplex of the child's two pipes, with their back-pressure. Destroying it kills the child. */
function childStream(child: ChildProcessWithoutNullStreams): Duplex {
  const { stdin, stdout } = child;
  const stream = new Duplex({
    read: () => {
      stdout.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      stdin.write(chunk, (error) => done(error));
    },
    final: (done) => {
      stdin.end(() => done());
    },
    destroy: (error, done) => {
      child.kill('SIGKILL');
      stdin.destroy();
      stdout.destroy();
      done(error);
    },
  });
  stdout.pause();
  stdout.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) stdout.pause();
  });
  stdout.once('end', () => stream.push(null));
  stdout.on('error', (error) => stream.destroy(error));
  // The reason of a broken pipe is what the child said before it went; a write in progress gets the error itself.
  stdin.on('error', () => {});
  return stream;
}

function endOf(child: ChildProcessWithoutNullStreams): Promise<TransportEnd> {
  let stderr = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptStderr);
  });
  child.stderr.on('error', () => {});
  return new Promise((resolve) => {
    let how = '';
    const finish = () => {
      child.stderr.destroy();
      const said = stderr.trim();
      resolve({ detail: said === '' ? how : said });
    };
    child.once('exit', (code, signal) => {
      how = howItEnded(code, signal);
      const timer = setTimeout(finish, lastWordsMs);
      child.stderr.once('end', () => {
        clearTimeout(timer);
        finish();
      });
    });
  });
}

// SIGKILL is our own doing; an exit without an error needs no words.
function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return signal === 'SIGKILL' ? '' : `ended by ${signal}`;
  return code === 0 ? '' : `exit code ${code}`;
}
