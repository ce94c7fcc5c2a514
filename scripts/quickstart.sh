#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# From a fresh clone to a running overlay: installs what is needed, builds, starts a local S3 server with sample data,
# mounts, reads, and checks every answer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: scripts/quickstart.sh [--keep | --down]

  (nothing)   show it all, then take everything down again
  --keep      leave the server and the mount up, and say how to play on
  --down      take down what --keep left up

Debian 12 or 13, as root, with /dev/fuse. Exits non-zero unless every content and every source is as expected.
USAGE
}

keep=false
down=false
case "${1:-}" in
  "") ;;
  --keep) keep=true ;;
  --down) down=true ;;
  -h|--help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

s3overlay=$PWD/build/s3overlay
state_file=$PWD/build/quickstart-directory   # Where the running demonstration lives.

die() { printf '\nquickstart: %s\n' "$*" >&2; exit 1; }
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '  $ %s\n' "$*"; "$@" 2>&1 | sed 's/^/    /'; }

# A mount whose process has died counts, and `mountpoint` does not know it.
is_mounted() { grep -qF " $1 " /proc/self/mounts; }

take_down() {
  local directory
  directory=$(cat "$state_file" 2>/dev/null) || return 0
  [ -d "$directory" ] || { rm -f "$state_file"; return 0; }
  if is_mounted "$directory/dataset"; then
    "$s3overlay" umount "$directory/dataset" || umount -l "$directory/dataset" || true
  fi
  scripts/s3-server.sh stop "$directory/server" || true
  rm -rf "$directory"
  rm -f "$state_file"
}

if $down; then
  take_down
  echo "quickstart: everything is down"
  exit 0
fi

if [ -e "$state_file" ] && [ -d "$(cat "$state_file")" ]; then
  die "an earlier run is still up, or was killed; take it down first: scripts/quickstart.sh --down"
fi
[ "$(id -u)" -eq 0 ] || die "root is needed, to install packages and to mount with passthrough"
[ -c /dev/fuse ] || die "/dev/fuse is missing: load the kernel module (modprobe fuse), or hand the device to this container"

say "1. Dependencies and build"
scripts/install-deps.sh --test
generator=(-G Ninja)
if [ -e build/CMakeCache.txt ]; then generator=(); fi  # CMake refuses another one than that of an earlier build.
cmake -S . -B build "${generator[@]}" -DS3OVERLAY_TESTS=OFF >/tmp/s3overlay-cmake.log 2>&1 || { cat /tmp/s3overlay-cmake.log >&2; die "cmake failed"; }
cmake --build build -j "$(nproc)"

directory=$(mktemp -d /tmp/s3overlay-quickstart.XXXXXX)
printf '%s\n' "$directory" >"$state_file"
dataset=$directory/dataset
finish() {
  local status=$?
  if ! $keep || [ "$status" -ne 0 ]; then take_down; fi
}
trap finish EXIT

say "2. A local S3 server with sample data, and a directory that already holds local files"
scripts/s3-server.sh start "$directory/server"
set -a
# shellcheck source=/dev/null
. <(scripts/s3-server.sh env "$directory/server")
set +a
mkdir -p "$directory/objects/raw" "$dataset/raw"
printf '{"text": "from S3", "n": 1}\n{"text": "from S3", "n": 2}\n' >"$directory/objects/raw/in-s3.jsonl"
printf '{"text": "new, from S3"}\n' >"$directory/objects/raw/in-both.jsonl"
printf '{"text": "old, local"}\n' >"$dataset/raw/in-both.jsonl"
printf '{"text": "local"}\n' >"$dataset/raw/local-only.jsonl"
head -c 20000000 /dev/urandom >"$directory/objects/weights.bin"
scripts/s3-objects.py make-bucket demo-bucket
scripts/s3-objects.py upload demo-bucket datasets "$directory/objects"

mount_dataset() { "$s3overlay" mount s3://demo-bucket/datasets "$dataset" --cache-dir "$directory/cache" --log-file "$directory/log"; }

say "3. The overlay, mounted over the dataset directory itself"
printf '  $ s3overlay mount s3://demo-bucket/datasets %s\n' "$dataset"
mount_dataset
show ls -l "$dataset" "$dataset/raw"

expect() {  # FILE WANTED_SOURCE WANTED_STATE FILE_WITH_THE_CONTENT
  local source state
  source=$(getfattr --only-values --absolute-names -n user.s3overlay.source "$dataset/$1")
  state=$(getfattr --only-values --absolute-names -n user.s3overlay.state "$dataset/$1")
  printf '  %-22s state %-9s from %s\n' "$1" "$state" "$source"
  [ "$source" = "$2" ] || die "$1 comes from $source, and $2 was expected"
  [ "$state" = "$3" ] || die "$1 is in state $state, and $3 was expected"
  cmp "$dataset/$1" "$4" || die "the content of $1 is not that of $4"
}

say "4. Every path reads from S3 first and falls back to the local file"
printf '{"text": "local"}\n' >"$directory/local-only"
expect raw/in-s3.jsonl s3://demo-bucket/datasets/raw/in-s3.jsonl fresh "$directory/objects/raw/in-s3.jsonl"
expect raw/in-both.jsonl s3://demo-bucket/datasets/raw/in-both.jsonl fresh "$directory/objects/raw/in-both.jsonl"
expect raw/local-only.jsonl "$dataset/raw/local-only.jsonl" fallback "$directory/local-only"
expect weights.bin s3://demo-bucket/datasets/weights.bin fresh "$directory/objects/weights.bin"
show "$s3overlay" resolve "$dataset/raw/in-both.jsonl"
show "$s3overlay" cat s3://demo-bucket/datasets/raw/in-s3.jsonl --lines 1

say "5. A second read comes from the cache, also after a new mount"
before=$(scripts/s3-server.sh gets "$directory/server")
"$s3overlay" umount "$dataset"
mount_dataset
for file in raw/in-s3.jsonl raw/in-both.jsonl weights.bin; do
  cmp "$dataset/$file" "$directory/objects/$file" || die "the second read of $file differs"
done
after=$(scripts/s3-server.sh gets "$directory/server")
printf '  GETs at the gateway before: %s, after: %s\n' "$before" "$after"
[ "$before" -gt 0 ] || die "the gateway's log shows no GET at all, so it cannot show that there was none"
[ "$before" = "$after" ] || die "the second read went to the store"
show "$s3overlay" status "$dataset"

if $keep; then
  say "Up and running. To play on:"
  cat <<PLAY
  set -a; . <(scripts/s3-server.sh env $directory/server); set +a
  ls -l $dataset
  build/s3overlay resolve --json $dataset/weights.bin
  echo hello | scripts/s3-objects.py put demo-bucket datasets/hello.txt -
  cat $dataset/hello.txt
  tail $directory/log
  scripts/quickstart.sh --down
PLAY
fi
say "quickstart: all as expected"
