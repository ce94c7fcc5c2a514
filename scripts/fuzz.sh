#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the fuzz targets with clang 19 and runs them, two at a time; what is found stays in BUILD/found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: scripts/fuzz.sh [--seconds N] [--build DIR] [TARGET...]

  TARGET     config, control, http, index or xml; all of them without one
  --seconds  how long each target runs (60)
  --build    where the targets are built (build-test/fuzz). Inputs that reached something new are kept there, in
             grown/TARGET, and are where the next run starts
USAGE
}

seconds=60
build=build-test/fuzz
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:?--seconds needs a number}; shift ;;
    --build) build=${2:?--build needs a directory}; shift ;;
    -h|--help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=(config control http index xml)

die() { printf 'fuzz: %s\n' "$*" >&2; exit 1; }

export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
mkdir -p "$build/found"
cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS="-O1 -g1" \
  -DS3OVERLAY_WERROR=ON -DS3OVERLAY_FUZZ=ON >"$build/cmake.log" 2>&1 || { cat "$build/cmake.log" >&2; die "cmake failed"; }
cmake --build "$build" --target "${targets[@]/#/fuzz_}" >"$build/build.log" 2>&1 ||
  { tail -n 100 "$build/build.log" >&2; die "the build failed"; }

run_target() {  # TARGET
  local grown=$build/grown/$1
  mkdir -p "$grown"
  # Temporary files in memory where there is such a place: the index is written and read at every input.
  TMPDIR=$(test -w /dev/shm && echo /dev/shm || echo /tmp) "$build/tests/fuzz/fuzz_$1" \
    -max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$build/found/$1-" "$grown" "tests/fuzz/corpus/$1" >"$build/$1.log" 2>&1
}

failed=()
for ((i = 0; i < ${#targets[@]}; i += 2)); do
  pids=()
  pair=("${targets[@]:i:2}")
  for target in "${pair[@]}"; do run_target "$target" & pids+=($!); done
  for ((j = 0; j < ${#pids[@]}; ++j)); do
    wait "${pids[j]}" || failed+=("${pair[j]}")
    printf 'fuzz: %-8s %s\n' "${pair[j]}" "$(grep -E '^(stat::number_of_executed_units|DONE|Done)' "$build/${pair[j]}.log" | tail -n 1)"
  done
done
for target in ${failed[@]+"${failed[@]}"}; do
  printf '\n--- %s\n' "$target" >&2
  tail -n 60 "$build/$target.log" >&2
done
[ ${#failed[@]} -eq 0 ] || die "faults found in: ${failed[*]} (inputs in $build/found)"
