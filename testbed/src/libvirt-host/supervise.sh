#!/bin/bash
# Owns one throw-away host: its directory, its namespaces and everything that lives in them. The test process
# holds our stdin; when that closes (it asked, it failed, it was killed) we take the host down and remove it.
# usage: supervise.sh NAMESPACE.SH PARENT-DIRECTORY HOST-NAME, answers "ready DIRECTORY PID-OF-INIT"
set -u
trap '' INT HUP
namespace=$1 parent=$2 name=$3

# What was mounted while we looked is found by the next look; what still holds a device lets go of it soon.
remove() {
  local _
  for _ in {1..50}; do
    take_away "$1"
    [ -e "$1" ] || return 0
    sleep 0.1
  done
  return 1
}

take_away() {
  # A frozen file system cannot be unmounted by anyone but the one who thaws it.
  local mounted loop
  losetup -nlO NAME,BACK-FILE | while read -r loop mounted; do
    case $mounted in "$1"/*) losetup -d "$loop" ;; esac
  done
  for mounted in $(findmnt -rnoTARGET | grep "^$1/images/" | tac); do
    fsfreeze -u "$mounted" 2>/dev/null
    umount "$mounted" 2>/dev/null || umount -l "$mounted"
  done
  while mountpoint -q "$1/images"; do umount "$1/images" 2>/dev/null || umount -l "$1/images" || break; done
  rm -rf --one-file-system "$1"
}

# A host whose supervisor died holds no lock on its directory any more: its leftovers are ours to remove.
for stale in "$parent"/bf-host-*; do
  [ -f "$stale/lock" ] && flock -n "$stale/lock" true && remove "$stale"
done

umask 022
dir=$(mktemp -d "$parent/bf-host-XXXXXX") || exit 1
chmod 755 "$dir"
exec 9>"$dir/lock.new"
flock 9
mkdir "$dir"/{images,etc,lib,cache,log,run,guest}
mv "$dir/lock.new" "$dir/lock"

# Its own peer group, so that a file system mounted here later is seen in the host too, and nowhere else.
mount --bind "$dir/images" "$dir/images" && mount --make-private "$dir/images" &&
  mount --make-shared "$dir/images" || { remove "$dir"; exit 1; }

# The kernel kills unshare with us, the host's init with unshare, and with init all that lives in its PID namespace.
setpriv --pdeathsig KILL unshare --mount --propagation slave --uts --pid --fork --kill-child=KILL --mount-proc \
  bash "$namespace" "$dir" "$name" 9>&- </dev/null &
unshare=$!

for _ in {1..500}; do
  [ -e "$dir/run/ready" ] && break
  kill -0 "$unshare" 2>/dev/null || break
  sleep 0.01
done
read -r init <"/proc/$unshare/task/$unshare/children"
if [ -e "$dir/run/ready" ]; then
  echo "ready $dir $init"
  # Whoever read what we say may be gone when we say more, and that must not kill us.
  exec >/dev/null 2>&1
  read -r _
fi

kill -KILL "$unshare" "${init:-}" 2>/dev/null
wait "$unshare" 2>/dev/null
remove "$dir"
