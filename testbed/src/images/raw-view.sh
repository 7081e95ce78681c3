#!/bin/bash
# Runs a command that sees an image as the plain file VIEW/disk. In a mount and PID namespace of its own, so that
# neither the FUSE mount nor the storage daemon outlives it.   usage: raw-view.sh VIEW READ-WRITE BLOCKDEV-JSON COMMAND…
set -u
view=$1 writable=$2 node=$3
shift 3
touch "$view/disk"
qemu-storage-daemon --blockdev "$node" \
  --export "{\"type\":\"fuse\",\"id\":\"view\",\"node-name\":\"view\",\"mountpoint\":\"$view/disk\",\"writable\":$writable}" &
daemon=$!
for _ in {1..500}; do
  mountpoint -q "$view/disk" && break
  kill -0 "$daemon" 2>/dev/null || exit 1
  sleep 0.01
done
"$@"
code=$?
# It writes what it still holds before it ends.
kill "$daemon"
wait "$daemon" || code=$?
exit "$code"
