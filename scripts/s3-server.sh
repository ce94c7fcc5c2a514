#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A real S3 server on this machine, for tests and demonstrations: Ceph's RADOS Gateway over one mon and one osd, all of it
# under one directory and on 127.0.0.1 only. It speaks http and https, and serves buckets as a path and as a host name
# (BUCKET.s3.localhost).
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/s3-server.sh COMMAND DIR

  start DIR            make and start a server that keeps everything in DIR (new or empty)
  stop DIR             stop it; DIR stays
  status DIR           exit 0 when it answers
  env DIR              print what sets the variables that a client needs (bash): set -a; . <(... env DIR)
  gets DIR             how many GETs of objects the gateway has answered so far
  kill-gateway DIR     end the gateway at once, as a crash would; the data stays
  start-gateway DIR    start it again
  pause DIR            freeze the gateway: connections open, nothing is answered
  resume DIR           let it go on

Environment: S3_SERVER_STORE=memory (default) or file (survives a restart of the store).
USAGE
}

die() { printf 's3-server: %s\n' "$*" >&2; exit 1; }

access_key=S3OVERLAYLOCALTEST00
secret_key=local-secret-key-of-the-test-server-0000

need() {
  local command missing=()
  for command in ceph-mon ceph-osd radosgw radosgw-admin monmaptool ceph curl openssl python3; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  [ "${#missing[@]}" -eq 0 ] || die "missing: ${missing[*]}. Run scripts/install-deps.sh --test first"
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

make_certificates() {  # An authority of its own in tls/ca.pem, and key and certificate of the gateway in tls/gateway.pem.
  local tls=$dir/tls
  mkdir -p "$tls"
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=s3overlay test authority" \
      -keyout "$tls/ca.key" -out "$tls/ca.pem"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=s3.localhost" \
      -keyout "$tls/gateway.key" -out "$tls/gateway.csr"
    openssl x509 -req -days 30 -in "$tls/gateway.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial \
      -extfile <(printf 'subjectAltName=IP:127.0.0.1,DNS:s3.localhost,DNS:*.s3.localhost\n') -out "$tls/gateway.crt"
  } >"$dir/log/tls.out" 2>&1 || { cat "$dir/log/tls.out" >&2; die "cannot make certificates"; }
  cat "$tls/gateway.key" "$tls/gateway.crt" >"$tls/gateway.pem"
}

write_configuration() {
  local ports store
  mapfile -t ports < <(free_ports 3)
  case "${S3_SERVER_STORE:-memory}" in
    memory) store=$'osd objectstore = memstore\nmemstore device bytes = 4G' ;;
    file) store=$'osd objectstore = bluestore\nbluestore block size = 4G\nbluestore block create = true' ;;
    *) die "S3_SERVER_STORE is '${S3_SERVER_STORE}'; it may be memory or file" ;;
  esac
  printf '%s\n' "${ports[1]}" >"$dir/port"
  printf '%s\n' "${ports[2]}" >"$dir/tls-port"
  # Debian 13's default is relative to the working directory.
  local classes
  classes=$(find /usr/lib -maxdepth 2 -type d -name rados-classes -print -quit)
  [ -n "$classes" ] || die "the classes of the store (rados-classes) are missing: is the package ceph-osd whole?"
  uuidgen_fsid=$(python3 -c 'import uuid; print(uuid.uuid4())')
  cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $uuidgen_fsid
mon host = [v2:127.0.0.1:${ports[0]}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
ms bind msgr1 = false
run dir = $dir/run
admin socket = $dir/run/\$name.asok
log file = $dir/log/\$name.log
mon cluster log file = $dir/log/cluster.log
crash dir = $dir/run/crash
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
mon data = $dir/mon
mon data avail crit = 1
paxos propose interval = 0.05
paxos min wait = 0.01
osd data = $dir/osd
osd journal = $dir/osd/journal
osd class dir = $classes
osd class load list = *
osd class default list = *
osd memory target = 939524096
osd numa auto affinity = false
$store
debug default = 0/0
debug none = 0/0
debug mon = 0/0
debug osd = 0/0
debug ms = 0/0
debug monc = 0/0
debug auth = 0/0
debug paxos = 0/0
debug rocksdb = 0/0
debug bluestore = 0/0
debug memdb = 0/0

[client.rgw]
rgw frontends = beast tcp_nodelay=1 endpoint=127.0.0.1:${ports[1]} ssl_endpoint=127.0.0.1:${ports[2]} ssl_certificate=$dir/tls/gateway.pem
rgw dns name = s3.localhost
rgw gc obj min wait = 2
rgw gc processor period = 5
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw run sync thread = false
rgw relaxed s3 bucket names = false
keyring = $dir/keyring
# Level 1 is the access log.
debug rgw = 1/1
CONF
}

endpoint() { printf 'http://127.0.0.1:%s' "$(cat "$dir/port")"; }

alive() {  # NAME: whether the process of that pid file runs, and not another one that has got its number since
  local pid
  pid=$(cat "$dir/run/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && grep -qF "$dir" "/proc/$pid/cmdline" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null
}

launch() {  # NAME COMMAND...: runs it in the background with a pid file
  local name=$1
  shift
  setsid "$@" >"$dir/log/$name.out" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$dir/run/$name.pid"
}

end_process() {  # NAME
  local pid
  alive "$1" || { rm -f "$dir/run/$1.pid"; return 0; }
  pid=$(cat "$dir/run/$1.pid")
  kill -CONT "$pid" 2>/dev/null || true
  kill -TERM "$pid" 2>/dev/null || true
  for _ in $(seq 30); do
    alive "$1" || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  for _ in $(seq 50); do
    alive "$1" || break
    sleep 0.1
  done
  rm -f "$dir/run/$1.pid"
}

wait_for_gateway() {
  for _ in $(seq 600); do
    curl -s -o /dev/null --noproxy '*' --max-time 2 "$(endpoint)/" && return 0
    alive gateway || break
    sleep 0.1
  done
  tail -n 20 "$dir"/log/*.out >&2 || true
  die "the gateway does not answer; logs are in $dir/log"
}

start_gateway() {
  alive gateway && return 0
  launch gateway radosgw --conf "$dir/ceph.conf" --name client.rgw --foreground
  wait_for_gateway
}

start() {
  need
  [ -e "$dir/ceph.conf" ] && alive gateway && die "a server runs in $dir already"
  [ -e "$dir/ceph.conf" ] && die "$dir holds a server that was stopped; use a new directory"
  mkdir -p "$dir"/{run/crash,log,mon,osd}
  write_configuration
  make_certificates
  : >"$dir/keyring"
  local conf=(--conf "$dir/ceph.conf")
  {
    monmaptool --create --fsid "$uuidgen_fsid" --addv a "$(sed -n 's/^mon host = //p' "$dir/ceph.conf")" \
      --enable-all-features "$dir/monmap"
    ceph-mon "${conf[@]}" --mkfs -i a --monmap "$dir/monmap"
  } >"$dir/log/setup.out" 2>&1 || { cat "$dir/log/setup.out" >&2; die "cannot set up the monitor"; }
  launch mon ceph-mon "${conf[@]}" -i a --foreground
  local osd_uuid
  osd_uuid=$(python3 -c 'import uuid; print(uuid.uuid4())')
  {
    timeout 180 ceph "${conf[@]}" osd new "$osd_uuid" 0
    ceph-osd "${conf[@]}" -i 0 --mkfs --osd-uuid "$osd_uuid"
  } >>"$dir/log/setup.out" 2>&1 || { cat "$dir/log/setup.out" >&2; stop; die "cannot set up the store"; }
  launch osd ceph-osd "${conf[@]}" -i 0 --foreground
  timeout 180 radosgw-admin "${conf[@]}" --name client.rgw user create --uid tester --display-name tester \
    --access-key "$access_key" --secret-key "$secret_key" >"$dir/log/user.out" 2>&1 ||
    { tail "$dir/log/user.out" >&2; stop; die "cannot create the user"; }
  start_gateway
}

stop() {
  end_process gateway
  end_process osd
  end_process mon
}

# What the caller has set for other stores, proxies and mounts would come first.
print_env() {
  cat <<'ENV'
unset ${!OVH_S3_@} ${!S3OVERLAY_@} AWS_ENDPOINT_URL_S3 AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_REGION S3_BUCKET
no_proxy=127.0.0.1,localhost
NO_PROXY=127.0.0.1,localhost
ENV
  cat <<ENV
AWS_ACCESS_KEY_ID=$access_key
AWS_SECRET_ACCESS_KEY=$secret_key
AWS_ENDPOINT_URL=$(endpoint)
AWS_REGION=us-east-1
AWS_EC2_METADATA_DISABLED=true
S3OVERLAY_TEST_ENDPOINT=$(endpoint)
S3OVERLAY_TEST_ACCESS_KEY=$access_key
S3OVERLAY_TEST_SECRET_KEY=$secret_key
S3OVERLAY_TEST_TLS_ENDPOINT=https://127.0.0.1:$(cat "$dir/tls-port")
S3OVERLAY_TEST_CA_BUNDLE=$dir/tls/ca.pem
ENV
}

count_gets() {  # GETs of objects in the gateway's access log; HEADs and lists do not count.
  sleep 0.3  # The gateway writes its log from a thread of its own.
  grep -cE 'beast: .*"GET /[^/ ?]+/[^ ?]' "$dir/log/client.rgw.log" || true
}

[ $# -eq 2 ] || { usage >&2; exit 2; }
command=$1
mkdir -p "$(dirname "$2")"
dir=$(realpath -m "$2")
case "$command" in
  start) start ;;
  stop) stop ;;
  status) alive gateway && curl -s -o /dev/null --noproxy '*' --max-time 5 "$(endpoint)/" ;;
  env) print_env ;;
  gets) count_gets ;;
  kill-gateway) kill -KILL "$(cat "$dir/run/gateway.pid")"; end_process gateway ;;
  start-gateway) start_gateway ;;
  pause) kill -STOP "$(cat "$dir/run/gateway.pid")" ;;
  resume) kill -CONT "$(cat "$dir/run/gateway.pid")" ;;
  *) usage >&2; exit 2 ;;
esac
