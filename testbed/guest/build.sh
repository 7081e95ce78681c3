#!/bin/sh
# Builds the guest's images: kernel, initrd.gz (busybox, the writer and cmdline, virtio), initrd-fio.gz (the same and fio) and
# initrd-agent.gz (the same and Debian's QEMU guest agent, which is downloaded and not installed here).
# usage: build.sh DIRECTORY. Does nothing when DIRECTORY holds what these sources and this kernel give.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
kernel=$(ls -v /boot/vmlinuz-*cloud* 2>/dev/null | tail -n 1)
[ -n "$kernel" ] || { echo "No cloud kernel in /boot (package linux-image-cloud-amd64)." >&2; exit 1; }
version=${kernel#/boot/vmlinuz-}
key=$( (cat "$here/build.sh" "$here/init" "$here/writer.c" "$here/cmdline.c"; echo "$version"
  cksum /usr/bin/busybox /bin/busybox /usr/bin/fio 2>/dev/null) | sha256sum | cut -c1-16)
[ "$(cat "$out/key" 2>/dev/null)" = "$key" ] && exit 0

echo "Building the guest (kernel $version, busybox, the writer; one with fio; one with a guest agent, downloaded) ..."
mkdir -p "$out"
work=$(mktemp -d "$out/build-XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/modules"
cp "$(command -v busybox)" "$root/bin/busybox"
for tool in sh mount insmod cat usleep sleep echo base64 ls poweroff reboot mkdir sync; do ln -s busybox "$root/bin/$tool"; done
gcc -static -O2 -fno-strict-aliasing -Wall -Werror -pthread -o "$root/writer" "$here/writer.c"
gcc -static -O2 -Wall -Werror -o "$root/cmdline" "$here/cmdline.c"
install -m 755 "$here/init" "$root/init"

modules=/lib/modules/$version
# provide LIST NAME…: these modules, in this order, to be loaded as the list says.
provide() {
  list=$1
  shift
  for name; do
    file=$(find "$modules" -name "$name.ko*" | head -n 1)
    case $file in
      *.ko) cp "$file" "$root/modules/" ;;
      *.ko.xz) xz -dc "$file" >"$root/modules/$name.ko" ;;
      *.ko.zst) zstd -qdc "$file" >"$root/modules/$name.ko" ;;
      *) continue ;; # built in
    esac
    echo "$name" >>"$root/modules/$list"
  done
}
provide order virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk
provide order-scsi scsi_common scsi_mod sd_mod virtio_scsi

# pack FILE DIRECTORY
pack() { (cd "$2" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | gzip -n) >"$work/$1" && mv "$work/$1" "$out/$1"; }
# bring PROGRAM DIRECTORY: the program, and the libraries it needs.
bring() {
  cp "$1" "$2/bin/"
  for library in $(ldd "$1" | grep -o '/[^ ]*'); do
    mkdir -p "$2$(dirname "$library")"
    cp -L "$library" "$2$library"
  done
}
pack initrd.gz "$root"
cp -a "$root" "$work/fio"
bring "$(command -v fio)" "$work/fio"
pack initrd-fio.gz "$work/fio"

# Installed, it would be a service of this machine's from the next start on. Its libraries are QEMU's as well.
(cd "$work" && { apt-get download -qq qemu-guest-agent || { apt-get update -qq && apt-get download -qq qemu-guest-agent; }; } >apt.log 2>&1) ||
  { cat "$work/apt.log" >&2; echo "The package qemu-guest-agent cannot be downloaded." >&2; exit 1; }
dpkg-deb -x "$work"/qemu-guest-agent_*.deb "$work/package"
bring "$work/package/usr/sbin/qemu-ga" "$root"
provide order-agent virtio_console
pack initrd-agent.gz "$root"

# As it is in memory, and able to be started so (PVH): to unpack itself takes an emulated processor a second. Where it lies
# in the file: Documentation/x86/boot.rst, setup_sects and payload_*; the last four bytes are its size when unpacked.
unpack() {
  sectors=$(od -An -tu1 -j497 -N1 "$1")
  set -- "$1" "$2" $(od -An -tu4 -j584 -N8 "$1")
  tail -c "+$(((sectors + 1) * 512 + $3 + 1))" "$1" | head -c "$4" >"$work/packed"
  size=$(tail -c 4 "$work/packed" | od -An -tu4 | tr -d ' ')
  for program in lz4 zstd xz gzip; do
    "$program" -dc <"$work/packed" >"$2" 2>/dev/null || true # what follows it they take for damage
    [ "$(wc -c <"$2")" = "$size" ] && readelf -n "$2" | grep -q '(0x00000012)' && return 0
  done
  return 1
}
unpack "$kernel" "$work/kernel" || cp "$kernel" "$work/kernel"
chmod 644 "$work/kernel"
mv "$work/kernel" "$out/kernel"
rm -f "$out/vmlinuz"
echo "$key" >"$out/key"
