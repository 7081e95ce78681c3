#!/bin/bash
# Process 1 of a throw-away host: gives it its own libvirt directories, /run and name, then adopts and reaps.
# (libvirt waits up to 15 s for a QEMU that nobody reaped.)   usage: namespace.sh DIRECTORY HOST-NAME
set -eu
dir=$1 name=$2
mount --make-shared "$dir/images"
mkdir -p /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /var/log/swtpm "$dir/log/swtpm"
mount --bind "$dir/etc" /etc/libvirt
mount --bind "$dir/lib" /var/lib/libvirt
mount --bind "$dir/cache" /var/cache/libvirt
mount --bind "$dir/log" /var/log/libvirt
mount --bind "$dir/log/swtpm" /var/log/swtpm
printf '127.0.0.1 localhost %s\n' "$name" >"$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts
mkdir -p "$dir/run/lock"
mount --bind "$dir/run" /run
# QEMU can open a /dev/kvm that libvirt believes is closed to QEMU's user (the group of the node is not Debian's). It
# then asks QEMU anew what it can do, at every look: a second each, several for one definition. So they are to agree.
if [ -e /dev/kvm ]; then
  group=$(stat -c %g /dev/kvm)
  cp /etc/group "$dir/group"
  grep -q "^[^:]*:[^:]*:$group:" "$dir/group" || echo "kvm-node:x:$group:" >>"$dir/group"
  sed -i "s/^\([^:]*:[^:]*:$group:\)\(.\+\)$/\1\2,libvirt-qemu/; s/^\([^:]*:[^:]*:$group:\)$/\1libvirt-qemu/" "$dir/group"
  mount --bind "$dir/group" /etc/group
fi
hostname "$name"
touch /run/ready
trap '' TERM INT HUP
set +e
while :; do
  sleep infinity &
  wait $!
done
