#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tries the README's two commands as a newcomer would: a bare Debian of the given release in a chroot, a fresh clone of
# what is committed here, then quickstart.sh and test.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: scripts/test-fresh.sh [--ccache DIR] 12|13 [-- COMMAND...]

  12, 13    the Debian release
  COMMAND   instead of the two commands, run inside the clone
  --ccache  what the compiler made is kept there for the next run, which then takes half the time

As root; needs mmdebstrap. The Debian mirror is the one that apt is configured with.
USAGE
}

die() { printf 'test-fresh: %s\n' "$*" >&2; exit 1; }

ccache=
if [ "${1:-}" = --ccache ]; then
  ccache=$(realpath -m "${2:?--ccache needs a directory}")
  shift 2
fi
case "${1:-}" in
  12) suite=bookworm ;;
  13) suite=trixie ;;
  -h|--help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
shift
if [ "${1:-}" = -- ]; then shift; fi
[ "$(id -u)" -eq 0 ] || die "root is needed to make a chroot"
if ! command -v mmdebstrap >/dev/null; then
  apt-get update -qq || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null || die "mmdebstrap cannot be installed"
fi

# shellcheck disable=SC2016  # apt's own placeholders
mirror=$(apt-get indextargets --format '$(SITE) $(ORIGIN) $(COMPONENT) $(CREATED_BY)' |
  awk '$2 == "Debian" && $3 == "main" && $4 == "Packages" && $1 !~ /security/ { print $1; exit }')
[ -n "$mirror" ] || die "apt's configuration names no Debian mirror"

root=$(mktemp -d /var/tmp/s3overlay-fresh.XXXXXX)
finish() {
  local mount process
  for process in /proc/[0-9]*; do
    if [ "$(readlink "$process/root")" = "$root" ]; then kill -KILL "${process#/proc/}" 2>/dev/null || true; fi
  done
  # Innermost first.
  grep -E " ${root}[ /]" /proc/self/mounts | cut -d' ' -f2 | sort -r | while read -r mount; do umount -l "$mount" || true; done
  rm -rf --one-file-system "$root"
}
trap finish EXIT

# Its root has to be a mount of its own, or no namespace made in there could change how mounts spread.
mount --bind "$root" "$root"
echo "test-fresh: making a bare $suite"
mmdebstrap --quiet --variant=apt --include=ca-certificates,git "$suite" "$root" "$mirror" >/dev/null
# What reaches the mirror from here reaches it from there.
cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
rm -f "$root"/etc/apt/apt.conf.d/docker-* "$root"/etc/apt/apt.conf.d/20packagekit "$root"/etc/apt/apt.conf.d/50appstream
cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
git clone -q --no-local . "$root/root/s3overlay"
for directory in dev proc sys; do mount --rbind "/$directory" "$root/$directory"; mount --make-rslave "$root/$directory"; done
mount -t tmpfs tmpfs "$root/run"
if [ -n "$ccache" ]; then
  mkdir -p "$ccache" "$root/root/.cache/ccache"
  mount --bind "$ccache" "$root/root/.cache/ccache"
fi

inside() { chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM="${TERM:-dumb}" CI="${CI:-}" bash -c "cd /root/s3overlay && $1"; }

if [ $# -gt 0 ]; then
  inside "$*"
else
  inside ./scripts/quickstart.sh
  echo "test-fresh: a plain build, with what quickstart.sh installed"
  inside "cmake -S . -B /tmp/plain -DS3OVERLAY_TESTS=OFF && cmake --build /tmp/plain" >/dev/null
  inside ./scripts/test.sh
fi
echo "test-fresh: $suite: passed"
