#!/bin/bash
# Process 1 of a throw-away host: gives it its own libvirt directories, /run and name, then adopts and reaps.
# (libvirt waits up to 15 s for a QEMU that nobody reaped.)   usage: namespace.sh DIRECTORY HOST-NAME
set -eu
dir=$1 name=$2
mount --make-shared "$dir/images"
mkdir -p /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
mount --bind "$dir/etc" /etc/libvirt
mount --bind "$dir/lib" /var/lib/libvirt
mount --bind "$dir/cache" /var/cache/libvirt
mount --bind "$dir/log" /var/log/libvirt
printf '127.0.0.1 localhost %s\n' "$name" >"$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts
mkdir -p "$dir/run/lock"
mount --bind "$dir/run" /run
hostname "$name"
touch /run/ready
trap '' TERM INT HUP
set +e
while :; do
  sleep infinity &
  wait $!
done
