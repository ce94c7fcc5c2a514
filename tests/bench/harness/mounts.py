# SPDX-License-Identifier: Apache-2.0
"""What is mounted in a benchmark: the project's own mount, and the empty FUSE server. Each is a context manager with
`path`, `pid` and `cache`, and so are the peers."""
import json
import os
import pathlib
import shutil
import subprocess
import time

from .data import BUCKET
from .processes import cpu_seconds, run, set_kernel_readahead, start, wait_until
from .store import endpoint


class Mounted:
    """A mountpoint of its own below `work`, and a cache directory that outlives it."""

    name = ""

    def __init__(self, work, cache):
        self.path = pathlib.Path(work) / "mount" / self.name
        self.cache = pathlib.Path(work) / f"{cache}-{self.name}"
        self.pid = 0

    def forget(self):
        """Nothing is cached after this; only while it is not mounted."""
        shutil.rmtree(self.cache, ignore_errors=True)
        return self

    def __enter__(self):
        self.path.mkdir(parents=True, exist_ok=True)
        self.cache.mkdir(parents=True, exist_ok=True)
        self.mount()
        return self

    def mount(self):
        raise NotImplementedError

    def cpu_seconds(self):
        return cpu_seconds(self.pid)


class InForeground(Mounted):
    """A server that runs until it is unmounted."""

    def command(self):
        raise NotImplementedError

    def mount(self):
        self.process = start(*self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait_until(lambda: os.path.ismount(self.path) or self.process.poll() is not None, f"{self.name} to mount")
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} did not start: {self.command()}")

    def __exit__(self, *_):
        run("umount", self.path)
        self.process.wait(60)


class Overlay(Mounted):
    """The mount under test. `layer`: a prefix of the bucket, or a local directory."""

    name = "s3overlay"

    def __init__(self, work, binary, layer, port, options=(), cache="cache"):
        super().__init__(work, cache)
        self.binary = binary
        spec = layer if str(layer).startswith("/") else f"s3://{BUCKET}/{layer}"
        self.options = ["--layer", spec, "--cache-dir", self.cache, "--log-file", pathlib.Path(work) / "log", *options]
        if port is not None:
            self.options += ["--endpoint", endpoint(port)]

    def mount(self):
        run(self.binary, "mount", self.path, *self.options)
        self.pid = self.status()["pid"]

    def __exit__(self, *_):
        subprocess.run([self.binary, "umount", self.path], check=False, capture_output=True)
        wait_until(lambda: not pathlib.Path(f"/proc/{self.pid}").exists(), "s3overlay to end", 120)
        if os.path.ismount(self.path):
            raise RuntimeError(f"{self.path} is still mounted")

    def status(self):
        return json.loads(run(self.binary, "status", "--json", self.path))

    def received(self):
        return self.status()["requests"]["received_bytes"]

    def resolve(self, name):
        return json.loads(run(self.binary, "resolve", "--json", self.path / name))

    def is_passed_through(self, name):
        return self.resolve(name)["passthrough"]

    def fill(self, name, read, passes=10):
        """Has `read` read an object until it is wholly and durably in the cache; answers in how many passes. Blocks that
        came while the cache's queue was full are not kept, and come again in the next pass."""
        for n in range(1, passes + 1):
            read(self.path / name)
            missing = self._settle(name)
            if missing is None:
                return n
        raise RuntimeError(f"{name} is not complete in the cache after {passes} passes; {missing} bytes are missing; "
                           f"{self.status()['cache']}")

    def _settle(self, name):
        """None as soon as it is complete; else the missing bytes when their number stays the same."""
        missing, since = None, time.monotonic()
        while time.monotonic() - since < 1.5:
            time.sleep(0.1)
            resolution = self.resolve(name)
            if resolution["complete"]:
                return None
            now_missing = resolution["size"] - resolution["cached_bytes"]
            if now_missing != missing or now_missing == 0:
                missing, since = now_missing, time.monotonic()
        return missing


class EmptyServer(InForeground):
    """Files f0, f1, ... from memory, by a server that does nothing else."""

    name = "empty"

    def __init__(self, work, programs, files, content, xattr=False):
        super().__init__(work, "none")
        self.arguments = [programs / "bench_empty_fuse", self.path, files, content] + (["xattr"] if xattr else [])

    def command(self):
        return self.arguments

    def mount(self):
        super().mount()
        set_kernel_readahead(self.path, 1024)
