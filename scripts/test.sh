#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what the tests need and runs them all, on a real S3 server and real mounts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: scripts/test.sh [--only STAGE[,STAGE...]] [--filter REGEX]

Stages, in this order:
  format   clang-format, and that every script parses
  layers   the arrows between the rooms and the rows of docs/semantics.md: none without a test, and that planted violations
           are found
  gcc      g++, warnings as errors, optimised; libfuse 3.17 or newer
  asan     g++ with AddressSanitizer and UBSan, on the system's own libfuse (3.14 on Debian 12: the floor)
  tsan     clang 19 with ThreadSanitizer, thread-safety analysis and warnings as errors
  fuzz     clang 19 with libFuzzer: each target of tests/fuzz for a minute, two at a time (scripts/fuzz.sh)
And only where --only names it:
  swift    the tests that ask a store, against an S3 server of another make (scripts/swift-server.sh)

  --only     run these stages alone
  --filter   only tests whose name matches (ctest -R)
USAGE
}

stages=(format layers gcc asan tsan fuzz)
filter=()
while [ $# -gt 0 ]; do
  case "$1" in
    --only) IFS=, read -r -a stages <<<"${2:?--only needs a stage}"; shift ;;
    --filter) filter=(-R "${2:?--filter needs an expression}"); shift ;;
    -h|--help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

die() { printf 'test: %s\n' "$*" >&2; exit 1; }
say() { printf '\n=== %s (%s s)\n' "$*" "$SECONDS"; }

# A third of the time that GNU ld takes, for some fifty programs a stage; -B is where g++ finds it.
linker="-fuse-ld=lld -B/usr/lib/llvm-19/bin"

# Two clones of the same sources share what the compiler made.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

server=$(mktemp -d /tmp/s3overlay-test-server.XXXXXX)
suppressions=$(mktemp /tmp/s3overlay-test-suppressions.XXXXXX)  # This clone may lie where other users cannot go.
server_up=false
finish() {
  if $server_up; then scripts/s3-server.sh stop "$server" || true; fi
  scripts/swift-server.sh stop "$server/swift" || true
  rm -rf "$server" "$suppressions"
}
trap finish EXIT

start_server() {
  if $server_up; then return 0; fi
  scripts/s3-server.sh start "$server"
  server_up=true
  set -a
  # shellcheck source=/dev/null
  . <(scripts/s3-server.sh env "$server" | grep '^S3OVERLAY_TEST_')
  set +a
}

check_format() {
  local sources
  mapfile -t sources < <(find src include tests -name '*.h' -o -name '*.cc')
  clang-format-19 --dry-run --Werror "${sources[@]}"
  bash -n scripts/*.sh
}

check_layers() {
  python3 scripts/check_layers.py
  python3 scripts/check_layers.py --self-test
  python3 scripts/check_semantics.py
  python3 scripts/check_semantics.py --self-test
}

build_and_test() {  # RUN NAME CMAKE-ARGUMENTS...: RUN is what runs the tests
  local run=$1
  shift
  start_server
  build "$@"
  "$run" "$1"
}

build() {  # NAME CMAKE-ARGUMENTS...
  local name=$1 tree=build-test/$1
  shift
  cmake -S . -B "$tree" -G Ninja -DS3OVERLAY_WERROR=ON -DCMAKE_EXE_LINKER_FLAGS="$linker" "$@" >"/tmp/s3overlay-$name-cmake.log" 2>&1 ||
    { cat "/tmp/s3overlay-$name-cmake.log" >&2; die "cmake failed"; }
  grep '^-- libfuse' "/tmp/s3overlay-$name-cmake.log" || true
  # Ninja's lines are noise where all is well.
  cmake --build "$tree" >"/tmp/s3overlay-$name-build.log" 2>&1 ||
    { grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating)' "/tmp/s3overlay-$name-build.log" | tail -n 100 >&2; die "the build failed"; }
  say "$name: built"
}

# Those of the label `fault` hold the mount to times that users are promised, which a sanitizer's slowness would break;
# what they go through is under the sanitizers in the unit and mount tests, and in the random run.
run_tests_sanitized() { run_tests "$1" -LE fault; }

run_tests() {  # NAME CTEST-ARGUMENTS...
  local name=$1 tree=build-test/$1
  shift
  ctest --test-dir "$tree" -j 2 --output-on-failure --no-tests=error --schedule-random "${filter[@]}" "$@" \
    >"/tmp/s3overlay-$name-ctest.log" 2>&1 || { report_failures "/tmp/s3overlay-$name-ctest.log"; die "$name: tests failed"; }
  tail -n 4 "/tmp/s3overlay-$name-ctest.log"
}

# Left out: https and host names, which that server is not set up for, and versions, which it does not keep.
test_on_swift() {
  build gcc -DCMAKE_CXX_COMPILER=g++
  scripts/swift-server.sh start "$server/swift"
  (
    set -a
    # shellcheck source=/dev/null
    . <(scripts/swift-server.sh env "$server/swift")
    run_tests gcc -R '^(Kinds/ObjectStoreContract|RealServerTest|Semantics|Command|Query|Tree|UserMount)' -E OfAVersionedStore
  )
  scripts/swift-server.sh stop "$server/swift"
}

report_failures() {  # LOG: what failed, with its output
  grep -vE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test .* Passed)' "$1" | tail -n 400 >&2
}

scripts/install-deps.sh --test
[ -c /dev/fuse ] || die "/dev/fuse is missing: load the kernel module (modprobe fuse), or hand the device to this container"
[ "$(id -u)" -eq 0 ] || die "root is needed: the mount tests mount, and drop the kernel's caches"

for stage in "${stages[@]}"; do
  say "$stage"
  case "$stage" in
    format) check_format ;;
    layers) check_layers ;;
    gcc) build_and_test run_tests gcc -DCMAKE_CXX_COMPILER=g++ ;;
    asan)
      ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 build_and_test run_tests_sanitized asan -DCMAKE_CXX_COMPILER=g++ \
        -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS="-O1 -g1" -DS3OVERLAY_SANITIZE=address -DS3OVERLAY_LIBFUSE=system ;;
    tsan)
      install -m 644 tests/support/thread_sanitizer.supp "$suppressions"
      # Named, as what it looks for is called llvm-symbolizer, and it takes offence in its report where there is none.
      options=halt_on_error=1:second_deadlock_stack=1:suppressions=$suppressions
      options+=:external_symbolizer_path=$(command -v llvm-symbolizer-19)
      TSAN_OPTIONS=$options build_and_test run_tests_sanitized tsan -DCMAKE_CXX_COMPILER=clang++-19 \
        -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS="-O1 -g1" -DS3OVERLAY_SANITIZE=thread ;;
    swift) test_on_swift ;;
    fuzz) scripts/fuzz.sh --seconds 60 ;;
    *) usage >&2; exit 2 ;;
  esac
done
say "all stages passed: ${stages[*]}"
