# SPDX-License-Identifier: Apache-2.0
"""The peers that apt offers, with a cache on disk and parallel reads where they have them."""
import functools
import os
import pathlib
import re
import shutil
import subprocess

from .data import BUCKET
from .mounts import InForeground
from .processes import run
from .store import endpoint

PACKAGES = ["rclone", "s3fs"]


class Rclone(InForeground):
    name = "rclone"

    def __init__(self, work, prefix, port, cache="cache"):
        super().__init__(work, cache)
        self.prefix = prefix
        self.environment = {"RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_STORE_TYPE": "s3", "RCLONE_CONFIG_STORE_PROVIDER": "Ceph",
                            "RCLONE_CONFIG_STORE_ENV_AUTH": "true", "RCLONE_CONFIG_STORE_REGION": "us-east-1",
                            "RCLONE_CONFIG_STORE_ENDPOINT": endpoint(port)}

    def command(self):
        options = ["--read-only", "--vfs-cache-mode", "full", "--cache-dir", self.cache, "--dir-cache-time", "1h"]
        if self.has_streams():
            options += ["--vfs-read-chunk-streams", "8", "--vfs-read-chunk-size", "8M"]
        # An authority of the environment's is for others: the store of the benchmarks speaks plain HTTP.
        return ["env", "-u", "AWS_CA_BUNDLE", *(f"{n}={v}" for n, v in self.environment.items()), "rclone", "mount",
                f"store:{BUCKET}/{self.prefix}", self.path, *options]

    @staticmethod
    @functools.lru_cache
    def has_streams():
        """Since 1.68."""
        return "--vfs-read-chunk-streams" in run("rclone", "mount", "--help")

    def mount(self):
        super().mount()
        self.pid = self.process.pid  # env(1) has become rclone.


class S3fs(InForeground):
    name = "s3fs"

    def __init__(self, work, prefix, port, cache="cache"):
        super().__init__(work, cache)
        self.keys = pathlib.Path(work) / "s3fs-keys"
        self.keys.touch(mode=0o600)
        self.keys.write_text(f"{os.environ['AWS_ACCESS_KEY_ID']}:{os.environ['AWS_SECRET_ACCESS_KEY']}\n")
        self.options = [f"url={endpoint(port)}", f"passwd_file={self.keys}", f"use_cache={self.cache}", "use_path_request_style",
                        "parallel_count=10", "multipart_size=10", "max_stat_cache_size=200000", "ro",
                        "multireq_max=20"]
        self.prefix = prefix

    def command(self):
        options = self.options + (["compat_dir"] if self.has_compat_dir() else [])
        return ["s3fs", f"{BUCKET}:/{self.prefix}", self.path, "-f", "-o", ",".join(options)]

    @staticmethod
    @functools.lru_cache
    def has_compat_dir():
        """Newer ones need it to see directories that no object stands for."""
        help_text = subprocess.run(["s3fs", "--help"], capture_output=True, text=True, check=False).stdout
        return re.search(r"\scompat_dir", help_text) is not None  # Older ones have notsup_compat_dir.


def installed_peers():
    return [peer for peer in (Rclone, S3fs) if shutil.which(peer.name)]


def install_peers():
    run("apt-get", "install", "-y", "--no-install-recommends", "nginx-light", *PACKAGES,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
