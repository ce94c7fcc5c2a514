#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A second S3 server of another make, to hold s3overlay against: OpenStack Swift with its S3 interface, from Debian's
# packages. All of it under one directory and on 127.0.0.1 only.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/swift-server.sh COMMAND DIR

  start DIR   install what is missing (as root), make and start a server that keeps everything in DIR (new or empty)
  stop DIR    stop it; DIR stays
  env DIR     print the variables that the tests need, for: set -a; . <(... env DIR)
USAGE
}

die() { printf 'swift-server: %s\n' "$*" >&2; exit 1; }

packages=(swift-proxy swift-account swift-container swift-object memcached python3 curl)

install_packages() {
  command -v swift-proxy-server swift-object-server swift-ring-builder memcached >/dev/null && return 0
  [ "$(id -u)" -eq 0 ] || die "installing ${packages[*]} needs root"
  apt-get update -qq || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >"$dir/log/apt" 2>&1 ||
    { tail -n 20 "$dir/log/apt" >&2; die "apt-get could not install ${packages[*]}"; }
}

free_ports() {  # COUNT: ports that nobody listens on, one a line
  python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
for s in sockets:
    print(s.getsockname()[1])
PYTHON
}

write_common() {  # PORT: what every server's configuration begins with
  printf '[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = %s\nworkers = 0\nuser = root\nswift_dir = %s\n' "$1" "$dir/etc"
}

write_storage() {  # NAME PORT: one of the three servers behind the proxy, and its ring of one disk
  local name=$1 port=$2
  {
    write_common "$port"
    printf 'devices = %s\nmount_check = false\n[pipeline:main]\npipeline = %s-server\n' "$dir/disks" "$name"
    printf '[app:%s-server]\nuse = egg:swift#%s\nrecon_cache_path = %s\n' "$name" "$name" "$dir/cache"
  } >"$dir/etc/$name-server.conf"
  swift-ring-builder "$dir/etc/$name.builder" create 4 1 1
  swift-ring-builder "$dir/etc/$name.builder" add "r1z1-127.0.0.1:$port/disk" 100
  swift-ring-builder "$dir/etc/$name.builder" rebalance
}

write_proxy() {  # PORT MEMCACHE-PORT
  {
    write_common "$1"
    cat <<CONF
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$2
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = local-secret-key .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
CONF
  } >"$dir/etc/proxy-server.conf"
}

launch() {  # COMMAND...: in the background, and noted for `stop`
  setsid "$@" >>"$dir/log/servers" 2>&1 </dev/null &
  printf '%s\n' "$!" >>"$dir/pids"
}

start() {
  [ -e "$dir/pids" ] && die "a server runs in $dir already"
  mkdir -p "$dir"/{etc,disks/disk,cache,log}
  install_packages
  local ports server
  mapfile -t ports < <(free_ports 5)
  printf '%s\n' "${ports[0]}" >"$dir/port"
  printf '[swift-hash]\nswift_hash_path_prefix = local\nswift_hash_path_suffix = test\n' >"$dir/etc/swift.conf"
  { write_storage account "${ports[1]}"; write_storage container "${ports[2]}"; write_storage object "${ports[3]}"; } >"$dir/log/rings"
  write_proxy "${ports[0]}" "${ports[4]}"
  launch memcached -u root -l 127.0.0.1 -p "${ports[4]}" -m 32
  # Swift reads /etc/swift/swift.conf and no other: each server has a name space in which that is ours.
  for server in account container object proxy; do
    # shellcheck disable=SC2016  # expanded by the inner shell
    launch unshare --mount sh -c 'mount --bind "$1" /etc/swift && exec "swift-$2-server" "/etc/swift/$2-server.conf"' sh "$dir/etc" "$server"
  done
  for _ in $(seq 600); do
    curl -s -o /dev/null --noproxy '*' --max-time 2 "http://127.0.0.1:${ports[0]}/" && return 0
    sleep 0.1
  done
  tail -n 20 "$dir/log/servers" >&2
  stop
  die "it does not answer; logs are in $dir/log"
}

stop() {
  [ -e "$dir/pids" ] || return 0
  local pid
  while read -r pid; do kill "$pid" 2>/dev/null || true; done <"$dir/pids"
  while read -r pid; do
    for _ in $(seq 50); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done <"$dir/pids"
  rm -f "$dir/pids"
}

print_env() {
  printf 'S3OVERLAY_TEST_ENDPOINT=http://127.0.0.1:%s\n' "$(cat "$dir/port")"
  printf 'S3OVERLAY_TEST_ACCESS_KEY=test:tester\nS3OVERLAY_TEST_SECRET_KEY=local-secret-key\n'
}

[ $# -eq 2 ] || { usage >&2; exit 2; }
command=$1
dir=$(realpath -m "$2")
case "$command" in
  start) start ;;
  stop) stop ;;
  env) print_env ;;
  *) usage >&2; exit 2 ;;
esac
