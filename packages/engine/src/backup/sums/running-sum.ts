// The SHA-256 of a copy of an image, reckoned while it is copied, from the image: a program on its host sums what it is
// told to, piece by piece, as far as the copy has come.
import type { Host, HostProcess } from '@blockferry/qemu';
import type { Bytes } from '../../model/units.ts';
import { DIGEST, type Sum } from '../hash.ts';

/**
 * What rewriting the backing link changes is seen beforehand: qemu-img does it to an overlay over the container, which is
 * gone at once. Where it changes more than one piece at the start (bitmaps are written anew), the sum is not to be had so.
 * It is read through the page cache, for what the kernel reads ahead keeps the digest busy, and dropped from there (nocache),
 * unless much of the image is there already: then a guest lives on it. dd tells of each piece on stdout.
 */
const SUM_AS_TOLD = `
${DIGEST}
image=$1 total=$2 reference=$3 format=$4
cached=$(fincore -b -n -o RES -- "$image" 2>/dev/null) && [ "$cached" -gt 67108864 ] || drop=,nocache
d=$(mktemp -d) || exit
trap 'rm -rf -- "$d"' EXIT
trap 'exit 143' TERM
if [ -n "$reference" ]; then
  over='"driver":"qcow2","file":{"driver":"file","filename":"'$d/view'"}'
  qemu-img create -q -f qcow2 -b "$image" -F raw "$d/view" &&
    qemu-img rebase -u -b "$reference" -F "$format" "json:{\\"driver\\":\\"qcow2\\",\\"file\\":{$over}}" || exit
  changed=$(qemu-img map -f qcow2 --output=json "$d/view" |
    sed -n 's/.*"start": \\([0-9]*\\), "length": \\([0-9]*\\), "depth": 0,.*/\\1 \\2/p')
  case $changed in
    '') reference= ;;
    *'
'*) echo 'more than its start changes' >&2; exit 1 ;;
    '0 '*) qemu-img dd -f qcow2 -O raw if="$d/view" of="$d/head" bs="\${changed#0 }" count=1 || exit ;;
    *) echo 'not its start changes' >&2; exit 1 ;;
  esac
fi
[ -n "$reference" ] || head -c 65536 -- "$image" > "$d/head" || exit
n=$(stat -c %s "$d/head")
[ "$n" -le "$total" ] || { n=$total; truncate -s "$n" "$d/head"; }
echo "head $n $($digest < "$d/head")"
exec 4< "$d/head"
rm -rf -- "$d"
trap - EXIT
{ { cat <&4
    while read -r skip count; do
      [ "$skip" != end ] || exit 0
      dd if="$image" bs=1M iflag=skip_bytes,count_bytes$drop skip="$skip" count="$count" 2>&3 || exit
    done
  } | $digest; } 3>&1`;

/** The copy's first bytes, as they will be. */
export interface Head {
  readonly bytes: Bytes;
  readonly sha256: string;
}

export interface SumRequest {
  /** Path of the image, which nobody writes to. */
  readonly image: string;
  readonly total: Bytes;
  /** That is written into the copy's header; undefined: the copy is not changed. */
  readonly backing: { readonly reference: string; readonly format: string } | undefined;
}

/**
 * One image's. It begins at once, and may fail at any time: then it has no result, and what it is of must be read. Holes
 * of the image are zeroes in its copy, so both have one sum.
 */
export class RunningSum {
  readonly #total: Bytes;
  readonly #end = new AbortController();
  readonly #began: Promise<HostProcess>;
  readonly #result: Promise<(Sum & { readonly head: Head }) | undefined>;
  #told = '';
  #sha256: string | undefined;
  #head: Head | undefined;
  #read: Bytes = 0n;
  #ordered: Bytes = 0n;
  #wanted: Bytes = 0n;
  #isEnding = false;
  #wake = Promise.withResolvers<void>();

  /** @param signal ends it */
  constructor(host: Host, { image, total, backing }: SumRequest, signal: AbortSignal) {
    this.#total = total;
    const { reference = '', format = '' } = backing ?? {};
    const argv = ['/bin/sh', '-c', SUM_AS_TOLD, 'sh', image, String(total), reference, format];
    this.#began = host.spawn(argv, { signal: AbortSignal.any([signal, this.#end.signal]) });
    this.#result = this.#follow().catch(() => undefined);
  }

  /** So much from the start may be summed. */
  upTo(bytes: Bytes): void {
    if (bytes > this.#wanted) this.#wanted = bytes;
    this.#order();
  }

  /** Sums the rest. Undefined: it could not be done. */
  async result(): Promise<(Sum & { readonly head: Head }) | undefined> {
    this.#isEnding = true;
    this.upTo(this.#total);
    return this.#result;
  }

  /** Waits until so much is summed, or all of it; false when it has ended before. */
  async reached(bytes: Bytes): Promise<boolean> {
    const wanted = bytes < this.#total ? bytes : this.#total;
    let over = false;
    void this.#result.then(() => {
      over = true;
      this.#wake.resolve();
    });
    while (this.#read < wanted && !over) await this.#wake.promise;
    return this.#read >= wanted;
  }

  /** Bytes summed so far. */
  get read(): Bytes {
    return this.#read;
  }

  stop(): void {
    this.#end.abort();
  }

  #order(): void {
    if (this.#head === undefined) return;
    const count = this.#wanted - this.#ordered;
    const words = count > 0n ? `${this.#ordered} ${count}\n` : '';
    if (count > 0n) this.#ordered = this.#wanted;
    const end = this.#isEnding && this.#ordered >= this.#total ? 'end\n' : '';
    if (words + end === '') return;
    void this.#began.then(({ stdin }) => stdin.write(words + end)).catch(() => {});
  }

  async #follow(): Promise<(Sum & { readonly head: Head }) | undefined> {
    const program = await this.#began;
    program.stdout.setEncoding('utf8');
    program.stdout.on('data', (text: string) => this.#hear(text));
    const { code } = await program.exited;
    const sha256 = this.#sha256;
    // A pipe does not tell that its first part failed: a part of it has a sum as well.
    if (code !== 0 || this.#head === undefined || this.#read !== this.#total || sha256 === undefined) return;
    return { sha256, size: this.#total, head: this.#head };
  }

  /** Line by line; the last of all is the sum. */
  #hear(text: string): void {
    const lines = `${this.#told}${text}`.split('\n');
    const unfinished = lines.pop() ?? '';
    for (const line of lines) {
      const [, bytes] = /^(\d+) bytes?/.exec(line) ?? [];
      if (bytes !== undefined) this.#read += BigInt(bytes);
      const [, length, sha256] = /^head (\d+) ([0-9a-f]{64}) /.exec(line) ?? [];
      if (length !== undefined && sha256 !== undefined) this.#begin({ bytes: BigInt(length), sha256 });
      this.#sha256 = /^([0-9a-f]{64}) /.exec(line)?.[1];
    }
    this.#told = unfinished;
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  #begin(head: Head): void {
    this.#head = head;
    this.#read += head.bytes;
    this.#ordered = head.bytes;
    this.#order();
  }
}
