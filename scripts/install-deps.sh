#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what building s3overlay needs, and with --test also what its tests and the local S3 server need.
# Debian 12 or 13, as root. Runs again without harm; does nothing where all is there.
set -euo pipefail

libfuse_prefix=/usr/local/lib/s3overlay/libfuse
with_tests=false

usage() {
  cat <<'USAGE'
Usage: scripts/install-deps.sh [--test]

  --test   also install what the tests, the quickstart and the local S3 server need
USAGE
}

die() { printf 'install-deps: %s\n' "$*" >&2; exit 1; }
say() { printf 'install-deps: %s\n' "$*"; }

for argument in "$@"; do
  case "$argument" in
    --test) with_tests=true ;;
    -h|--help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

# shellcheck source=/dev/null
. /etc/os-release 2>/dev/null || die "cannot tell which system this is: /etc/os-release is missing"
case "${VERSION_CODENAME:-}" in
  bookworm|trixie) ;;
  *) die "this is ${PRETTY_NAME:-an unknown system}; Debian 12 (bookworm) or 13 (trixie) is needed" ;;
esac

build_packages=(
  ca-certificates cmake g++ make ninja-build pkg-config ccache
  libfuse3-dev fuse3 libcurl4-openssl-dev libssl-dev libspdlog-dev libfmt-dev libcli11-dev libtomlplusplus-dev
  libpugixml-dev nlohmann-json3-dev libsqlite3-dev libxxhash-dev libgtest-dev libgmock-dev
)
test_packages=(
  clang-19 clang-format-19 libclang-rt-19-dev lld-19 llvm-19
  radosgw ceph-mon ceph-osd python3 python3-boto3 python3-botocore openssl
  attr curl fio git nftables procps ripgrep rsync sqlite3 util-linux
)
# Only where libfuse has to be built.
libfuse_packages=(dpkg-dev meson xz-utils)

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$package"
  done
}

apt_updated=false
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || die "these packages are missing, and installing them needs root: ${missing[*]}"
  if ! $apt_updated; then
    # A third-party list that cannot be reached must not stop us; a missing package below will.
    apt-get update -qq || say "warning: some package lists could not be updated"
    apt_updated=true
  fi
  say "installing ${missing[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/tmp/s3overlay-apt.log 2>&1 ||
    { tail -n 20 /tmp/s3overlay-apt.log >&2; die "apt-get could not install them (log: /tmp/s3overlay-apt.log)"; }
}

# The mirror and the key ring that apt already uses for Debian itself: "URI KEYRING".
debian_mirror() {
  local uri
  # shellcheck disable=SC2016  # apt's own placeholders
  uri=$(apt-get indextargets --format '$(SITE) $(ORIGIN) $(COMPONENT) $(CREATED_BY)' 2>/dev/null |
    awk '$2 == "Debian" && $3 == "main" && $4 == "Packages" && $1 !~ /security/ { print $1; exit }')
  printf '%s\n' "$uri"
}

# Debian's own newer libfuse, from its source package: passthrough needs 3.17, and bookworm has 3.14.
build_libfuse() {
  pkg-config --atleast-version=3.17 fuse3 2>/dev/null && return 0
  PKG_CONFIG_PATH="$libfuse_prefix/lib/pkgconfig" pkg-config --atleast-version=3.17 fuse3 2>/dev/null && return 0
  [ "$(id -u)" -eq 0 ] || die "libfuse 3.17 has to be built into $libfuse_prefix, which needs root"
  install_packages "${libfuse_packages[@]}"

  local mirror work
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || die "apt's configuration names no Debian mirror to take libfuse's source from"
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # expanded now on purpose
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work/lists/partial" "$work/archives/partial"
  chmod 755 "$work" "$work"/*
  cat >"$work/trixie.sources" <<SOURCES
Types: deb-src
URIs: $mirror
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  local apt_options=(
    -o "Dir::Etc::sourcelist=$work/trixie.sources" -o "Dir::Etc::sourceparts=-"
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache::archives=$work/archives"
    -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=" -o APT::Sandbox::User=root
  )
  say "building libfuse from Debian's source package"
  (
    cd "$work"
    apt-get "${apt_options[@]}" update -qq
    apt-get "${apt_options[@]}" source --download-only -qq fuse3
    dpkg-source --no-check -x ./fuse3_*.dsc source
    meson setup build source --prefix "$libfuse_prefix" --libdir lib --buildtype release \
      -Ddefault_library=static -Dexamples=false -Dtests=false -Dutils=false
    meson install -C build
  ) >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; die "building libfuse failed"; }
  PKG_CONFIG_PATH="$libfuse_prefix/lib/pkgconfig" pkg-config --atleast-version=3.17 fuse3 ||
    die "the libfuse that was built is older than 3.17"
}

# Installed systems have it, bare ones of a container need not; fusermount3 of bookworm reads it to let users unmount.
link_mtab() {
  [ -e /etc/mtab ] || ln -s ../proc/self/mounts /etc/mtab || die "/etc/mtab is missing, and cannot be made"
}

install_packages "${build_packages[@]}"
if $with_tests; then
  install_packages "${test_packages[@]}"
  link_mtab
fi
build_libfuse
say "all dependencies are there"
