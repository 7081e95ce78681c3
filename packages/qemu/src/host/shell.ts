// The POSIX shell as the common ground of all hosts: exact quoting, and the supervisor that every command runs under.

/** Quotes one argument for a POSIX shell, whatever is in it. */
export function quoteArgument(argument: string): string {
  if (argument.includes('\0')) throw new TypeError('an argument cannot contain a NUL character');
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** A command line that a POSIX shell splits back into exactly these arguments. */
export function quoteCommand(argv: readonly string[]): string {
  return argv.map(quoteArgument).join(' ');
}

/** What a supervised command gets on standard input: nothing, a known number of bytes, or an open stream. */
export type Stdin = { kind: 'nothing' } | { kind: 'bytes'; count: number } | { kind: 'stream' };

// The end of our standard input is how the host learns that we died, even by SIGKILL and even through ssh: sshd
// closes the command's stdin when the connection is gone and does nothing else. So `cat` watches it, and takes the
// process group down. The status travels on stderr behind an unguessable mark, because ssh's own status of 255 means
// nothing. A command that ends on SIGTERM (qemu-storage-daemon does, cleanly) still gets its status reported, for the
// shells survive that signal; the others get SIGKILL.
const SUPERVISOR = `
mark=$1 stdin=$2
shift 2
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
command -v "$1" >/dev/null || { printf '\\n%s not-found\\n' "$mark" >&2; exit 127; }
trap : TERM
exec 3<&0
{
  case $stdin in
    nothing) ;;
    stream) cat <&3 ;;
    *) head -c "$stdin" <&3 ;;
  esac
  exec >&-
  cat <&3 >/dev/null
  trap '' TERM
  exec >/dev/null 2>&1
  kill -TERM 0
  sleep 5
  kill -KILL 0
} | {
  trap : TERM PIPE
  "$@" 3<&-
  printf '\\n%s %s\\n' "$mark" "$?" >&2
  kill -KILL 0
}`;

/** The command that runs `argv` under the supervisor, which writes `mark` and the status to stderr at the end. */
export function supervised(argv: readonly string[], mark: string, stdin: Stdin): string[] {
  const input = stdin.kind === 'bytes' ? String(stdin.count) : stdin.kind;
  return ['/bin/sh', '-c', SUPERVISOR, 'blockferry', mark, input, ...argv];
}

export type SupervisedEnd =
  | { kind: 'running' }
  | { kind: 'not-found'; stderr: string }
  | { kind: 'exited'; status: number; stderr: string };

/** Finds the supervisor's last line in what came on stderr; the rest is the command's own. */
export function readSupervisorMark(stderr: string, mark: string): SupervisedEnd {
  const at = stderr.indexOf(`\n${mark} `);
  if (at < 0) return { kind: 'running' };
  const lineEnd = stderr.indexOf('\n', at + 1);
  if (lineEnd < 0) return { kind: 'running' };
  const word = stderr.slice(at + mark.length + 2, lineEnd);
  const own = stderr.slice(0, at) + stderr.slice(lineEnd + 1);
  return word === 'not-found'
    ? { kind: 'not-found', stderr: own }
    : { kind: 'exited', status: Number(word), stderr: own };
}
