# SPDX-License-Identifier: Apache-2.0
"""The store of the benchmarks: a real S3 server, and nginx before it as a cache, so that reading is not limited by it.

Cached answers do not check signatures and do not see overwrites: good for benchmarks only. HEADs, lists, sub-resources
and writes always go to the S3 server.
"""
import os
import pathlib
import shutil

import boto3
from botocore.config import Config

from .processes import accepts, end, free_port, run, start, wait_until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
SERVER = ROOT / "scripts/s3-server.sh"

NGINX = """
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/unused;
  uwsgi_temp_path {dir}/unused;
  scgi_temp_path {dir}/unused;
  proxy_cache_path {dir}/cache levels=1:2 keys_zone=objects:64m max_size=16g inactive=24h use_temp_path=off;
  sendfile on;
  sendfile_max_chunk 1m;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000;
  keepalive_timeout 600s;
  client_max_body_size 0;
  merge_slashes off;
  open_file_cache max=20000 inactive=1h;
  open_file_cache_valid 1h;
  upstream gateway {{
    server 127.0.0.1:{gateway};
    keepalive 64;
    keepalive_requests 1000000;
  }}
  # A query other than a presigned signature asks for something else than the object.
  map $args $is_other {{
    default 1;
    "" 0;
    ~*^x-amz- 0;
    ~*^x-id=GetObject$ 0;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_request_buffering off;
    proxy_pass_request_headers on;
    location / {{ proxy_pass http://gateway; }}
    location ~ ^/[^/]+/. {{
      proxy_pass http://gateway;
      proxy_cache objects;
      proxy_cache_methods GET;
      proxy_cache_convert_head off;
      proxy_cache_key $uri;
      proxy_cache_valid 200 24h;
      proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
      proxy_cache_bypass $is_other;
      proxy_no_cache $is_other;
      proxy_force_ranges on;
      proxy_cache_lock on;
    }}
  }}
}}
"""


class Store:
    """Runs from construction to stop(). `directory` should lie in memory (tmpfs): dropping the page cache then leaves the
    store alone. A store that was kept there is taken over with all its objects."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.server = self.directory / "server"
        self.was_kept = (self.server / "port").exists() and self._is_up()
        if not self.was_kept:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory.mkdir(parents=True)
            run(SERVER, "start", self.server, env={**os.environ, "TMPDIR": str(self.directory)})
        self._take_environment()
        self.gateway_port = int((self.server / "port").read_text())
        self.port = free_port()
        self.nginx = self._start_nginx()
        self.direct = self._client(self.gateway_port)
        self.through_cache = self._client(self.port)

    def _is_up(self):
        try:
            run(SERVER, "status", self.server)
            return True
        except Exception:  # pylint: disable=broad-except
            return False

    def _take_environment(self):
        for line in run(SERVER, "env", self.server).splitlines():
            name, _, value = line.partition("=")
            os.environ[name] = value.strip("'\"")

    def _start_nginx(self):
        directory = self.directory / "nginx"
        directory.mkdir(exist_ok=True)
        configuration = directory / "nginx.conf"
        configuration.write_text(NGINX.format(dir=directory, gateway=self.gateway_port, port=self.port))
        process = start("nginx", "-c", configuration, "-e", directory / "error.log")
        wait_until(lambda: process.poll() is not None or accepts(self.port), "nginx")
        if process.poll() is not None:
            raise RuntimeError("nginx did not start: " + (directory / "error.log").read_text()[-1000:])
        return process

    def _client(self, port):
        return boto3.client("s3", endpoint_url=endpoint(port), region_name="us-east-1",
                            config=Config(s3={"addressing_style": "path"}))

    def stop(self, keep):
        """With `keep` the S3 server goes on, for the next run."""
        end(self.nginx)
        if not keep:
            run(SERVER, "stop", self.server)
            shutil.rmtree(self.directory, ignore_errors=True)


def endpoint(port):
    return f"http://127.0.0.1:{port}"
