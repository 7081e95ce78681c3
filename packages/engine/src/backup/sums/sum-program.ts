// The program that sums what it is told to, on the host of the files. In Python, whose hashlib sums straight from where the
// bytes lie: 0.85 s of CPU for each GiB. Where there is none, by a pipe from dd to openssl: twice as much.

/**
 * openssl uses the processor's own instructions where it has them (1.5 GB/s); coreutils 9.1, as Debian builds it, does not
 * (0.35 GB/s).
 */
export const DIGEST = `
export LC_ALL=C
if command -v openssl >/dev/null; then digest='openssl dgst -sha256 -r'; else digest=sha256sum; fi`;

/**
 * Argument: the image. On descriptor 4 the first bytes, which are summed first. Each line of stdin: offset and length in
 * bytes, and a file that has them at that offset if the image has not; `end` at the end. It answers each line with the bytes
 * that it has summed, and the end with the sum. Files are read past the page cache where they can be, some blocks ahead.
 */
export const SUM_PROGRAM = `
import hashlib, mmap, os, queue, sys, threading

BLOCK, AHEAD, SECTOR = 1 << 20, 8, 4096
image = sys.argv[1]
free, full = queue.Queue(), queue.Queue()
for _ in range(AHEAD):
    free.put(mmap.mmap(-1, BLOCK))

def opened(path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        os.readv(fd, [mmap.mmap(-1, SECTOR)])
        return fd
    except OSError:
        return os.open(path, os.O_RDONLY)

def read(line, files):
    offset, length, path = line.rstrip("\\n").split(" ", 2)
    path, at, end = path or image, int(offset), int(offset) + int(length)
    if path not in files:
        files[path] = opened(path)
    while at < end:
        block, skip = free.get(), at % SECTOR
        os.lseek(files[path], at - skip, os.SEEK_SET)
        there = min(os.readv(files[path], [block]) - skip, end - at)
        if there <= 0:
            raise EOFError("it ends too early")
        full.put((block, skip, there))
        at += there
    full.put(int(length))

def read_all():
    try:
        files = {}
        for line in iter(sys.stdin.readline, "end\\n"):
            if not line:
                raise EOFError("nobody waits for the sum")
            read(line, files)
        full.put(None)
    except BaseException as error:
        full.put(error)

whole = hashlib.sha256(os.fdopen(4, "rb").read())
threading.Thread(target=read_all, daemon=True).start()
for item in iter(full.get, None):
    if isinstance(item, BaseException):
        sys.exit(str(item))
    if isinstance(item, int):
        print(item, "bytes", flush=True)
        continue
    block, skip, there = item
    whole.update(memoryview(block)[skip:skip + there])
    free.put(block)
print(whole.hexdigest(), "", flush=True)
`;

/**
 * Arguments: the image, its length, what its copy's backing link will say (reference and format, or nothing), SUM_PROGRAM,
 * and something if it is at rest: it is dropped from the page cache first, so that the storage is what is read.
 *
 * What rewriting the backing link changes is seen beforehand: qemu-img does it to an overlay over the container, which is
 * gone at once. Where it changes more than one piece at the start (bitmaps are written anew), the sum is not to be had so.
 *
 * Without Python the image is read through the page cache, for what the kernel reads ahead keeps the digest busy, and dropped
 * from there (nocache), unless much of it is there already: then a guest lives on it. dd tells of each piece on stdout.
 */
export const SUM_AS_TOLD = `
${DIGEST}
image=$1 total=$2 reference=$3 format=$4 program=$5 rest=$6 drop=
[ -z "$rest" ] || dd if="$image" iflag=nocache count=0 status=none 2>/dev/null
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
python=$(command -v python3 || command -v /usr/libexec/platform-python) &&
  exec "$python" -I -S -c "$program" "$image"
cached=$(fincore -b -n -o RES -- "$image" 2>/dev/null) && [ "$cached" -gt 67108864 ] || drop=,nocache
{ { cat <&4
    while read -r skip count kept; do
      [ "$skip" != end ] || exit 0
      if [ -n "$kept" ]; then how=; else kept=$image how=$drop; fi
      dd if="$kept" bs=1M iflag=skip_bytes,count_bytes$how skip="$skip" count="$count" 2>&3 || exit
    done
  } | $digest; } 3>&1`;
