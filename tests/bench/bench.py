#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: each figure is a ratio of two things measured side by side, one after the other, several rounds.

Usage: bench.py BUILD_DIR [--only REGEX] [--rounds N] [--size MIB] [--json FILE]

BUILD_DIR was configured with -DS3OVERLAY_BENCH=ON. Root, on a machine with /dev/fuse; starts an S3 server of its own.
Every content is checked. A ratio above 1 means faster than what it is held against.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUCKET = "bench-bucket"
SMALL_FILES = 2000
SMALL_BYTES = 16 * 1024


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, **options).stdout


def drop_caches():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


class Store:
    """A real S3 server with the objects of the benchmarks, and the same bytes as local files."""

    def __init__(self, work, size):
        self.directory = work / "server"
        run(ROOT / "scripts/s3-server.sh", "start", self.directory)
        for line in run(ROOT / "scripts/s3-server.sh", "env", self.directory).splitlines():
            name, _, value = line.partition("=")
            os.environ[name] = value.strip("'\"")
        self.client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1",
                                   config=Config(s3={"addressing_style": "path"}))
        self.client.create_bucket(Bucket=BUCKET)
        self.local = work / "local"
        (self.local / "small").mkdir(parents=True)
        self.put("big.bin", os.urandom(1 << 20) * size)
        for i in range(SMALL_FILES):
            self.put(f"small/f{i}", os.urandom(SMALL_BYTES))

    def put(self, key, body):
        (self.local / key).write_bytes(body)
        self.client.put_object(Bucket=BUCKET, Key=f"data/{key}", Body=body)

    def url(self, key):
        return self.client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": f"data/{key}"},
                                                  ExpiresIn=7200)

    def stop(self):
        run(ROOT / "scripts/s3-server.sh", "stop", self.directory)


class Mount:
    """The mount under test; its cache directory outlives it."""

    def __init__(self, bench, *options, cache="cache", layer=f"s3://{BUCKET}/data"):
        self.bench = bench
        self.path = bench.work / "mount"
        self.path.mkdir(exist_ok=True)
        self.command = [bench.binary, "mount", self.path, "--layer", layer, "--cache-dir", bench.work / cache, "--log-file",
                        bench.work / "log", *options]

    def __enter__(self):
        run(*self.command)
        return self.path

    def __exit__(self, *_):
        run(self.bench.binary, "umount", self.path)


class EmptyServer:
    """The empty FUSE server with `files` files of `size` bytes."""

    def __init__(self, bench, files, size):
        self.path = bench.work / "empty"
        self.path.mkdir(exist_ok=True)
        self.command = [str(bench.build / "tests/bench/bench_empty_fuse"), str(self.path), str(files), str(size)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command)
        while not os.path.ismount(self.path):
            if self.process.poll() is not None:
                raise RuntimeError("the empty server did not start")
            time.sleep(0.05)
        device = os.stat(self.path).st_dev
        pathlib.Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb").write_text("1024")
        return self.path

    def __exit__(self, *_):
        run("umount", self.path)
        self.process.wait(30)


class Bench:
    def __init__(self, arguments, work):
        self.build = pathlib.Path(arguments.build).resolve()
        self.binary = self.build / "s3overlay"
        self.rounds = arguments.rounds
        self.size = arguments.size
        self.work = work
        self.results = []
        self.store = Store(work, arguments.size)

    def read(self, *arguments):
        return json.loads(run(self.build / "tests/bench/bench_reader", *arguments))

    def read_like(self, wanted, *arguments):
        report = self.read(*arguments)
        if report["checksum"] != wanted["checksum"] or report["bytes"] != wanted["bytes"]:
            raise RuntimeError(f"wrong content: {arguments}: {report}, and {wanted} was expected")
        return report["seconds"]

    def compare(self, name, ours, theirs, target):
        """Runs both in turn; each is a function that answers seconds."""
        pairs = [(ours(), theirs()) for _ in range(self.rounds)]
        ratio = statistics.median(t / o for o, t in pairs)
        result = {"name": name, "ratio": round(ratio, 3), "target": target,
                  "ours_s": statistics.median(o for o, _ in pairs), "theirs_s": statistics.median(t for _, t in pairs)}
        self.results.append(result)
        print(f"{name:58} {ratio:8.2f}   target {target:5}   {result['ours_s']:.4f} s : {result['theirs_s']:.4f} s", flush=True)

    def fill(self, path):
        """Reads everything once, and waits until the big object is passed through."""
        self.read("sequential", path / "big.bin")
        self.read("small", path / "small")
        for _ in range(100):
            resolution = json.loads(run(self.binary, "resolve", "--json", path / "big.bin"))
            if resolution["complete"]:
                return
            time.sleep(0.1)
        raise RuntimeError("the big object did not become complete in the cache")


def passthrough(bench, label, path):
    native = bench.store.local / "big.bin"
    whole = bench.read("sequential", native)
    bench.read_like(whole, "sequential", path)
    unchecked = ("sequential", "{}", 1 << 20, "unchecked")

    def seconds(file):
        return bench.read(*(str(a).format(file) for a in unchecked))["seconds"]

    bench.compare(f"{label}, sequential, warm : native", lambda: seconds(path), lambda: seconds(native), 0.9)
    pages = bench.read("random", native, 50000, 4096)
    bench.compare(f"{label}, random 4 KiB, warm : native", lambda: bench.read_like(pages, "random", path, 50000, 4096),
                  lambda: bench.read_like(pages, "random", native, 50000, 4096), 0.5)


def cached_object(bench):
    with Mount(bench) as path:
        bench.fill(path)
    with Mount(bench) as path:
        passthrough(bench, "object in the cache", path / "big.bin")


def local_file(bench):
    with Mount(bench, layer=bench.store.local) as path:
        passthrough(bench, "local file", path / "big.bin")


def through_daemon(bench):
    with Mount(bench) as path:
        bench.fill(path)
    whole = bench.read("sequential", bench.store.local / "big.bin")
    with Mount(bench, "--no-passthrough") as path, EmptyServer(bench, 1, bench.size << 20) as empty:

        def ours():
            drop_caches()
            return bench.read_like(whole, "sequential", path / "big.bin")

        def theirs():
            drop_caches()
            return bench.read("sequential", empty / "f0")["seconds"]

        bench.read("sequential", path / "big.bin")  # Checks every block for the first time in this run.
        bench.compare("object in the cache, no passthrough : empty server", ours, theirs, 0.8)


def small_cached(bench):
    small = bench.read("small", bench.store.local / "small")
    with Mount(bench) as path, EmptyServer(bench, SMALL_FILES, SMALL_BYTES) as empty:
        bench.read("small", path / "small")
        bench.compare("small cached files, open+read+close : empty server", lambda: bench.read_like(small, "small", path / "small"),
                      lambda: bench.read("small", empty)["seconds"], 0.6)


def download(bench, keys, ranges, connections):
    """curl, as many ranged GETs side by side; answers seconds."""
    lines = ["parallel", f"parallel-max = {connections}", "silent", "fail"]
    for key in keys:
        url = bench.store.url(key)
        for start, end in ranges:
            lines += [f'url = "{url}"', 'output = "/dev/null"', f"range = {start}-{end}", "next"]
    config = bench.work / "curl.config"
    config.write_text("\n".join(lines[:-1]))
    start = time.monotonic()
    run("curl", "--config", config)
    return time.monotonic() - start


def cold_sequential(bench):
    whole = bench.read("sequential", bench.store.local / "big.bin")
    part = 8 << 20
    ranges = [(o, o + part - 1) for o in range(0, bench.size << 20, part)]

    def ours():
        shutil.rmtree(bench.work / "cold", ignore_errors=True)
        with Mount(bench, cache="cold") as path:
            return bench.read_like(whole, "sequential", path / "big.bin")

    bench.compare("cold sequential, store near : parallel downloader", ours, lambda: download(bench, ["big.bin"], ranges, 8), 0.5)


def cold_small(bench):
    small = bench.read("small", bench.store.local / "small")
    keys = [f"small/f{i}" for i in range(SMALL_FILES)]

    def ours():
        shutil.rmtree(bench.work / "cold", ignore_errors=True)
        with Mount(bench, cache="cold") as path:
            return bench.read_like(small, "small", path / "small")

    bench.compare("cold small files, one reader : parallel downloader", ours,
                  lambda: download(bench, keys, [(0, SMALL_BYTES - 1)], 8), 0.7)


BENCHMARKS = [cached_object, local_file, through_daemon, small_cached, cold_sequential, cold_small]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default="", help="benchmarks whose name matches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=256, help="MiB of the big object")
    parser.add_argument("--json", help="write the results there")
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="s3overlay-bench."))
    bench = None
    try:
        bench = Bench(arguments, work)
        for benchmark in BENCHMARKS:
            if re.search(arguments.only, benchmark.__name__):
                benchmark(bench)
        if arguments.json:
            pathlib.Path(arguments.json).write_text(json.dumps({"schema": 1, "results": bench.results}, indent=2) + "\n")
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {' '.join(error.cmd)}: {error.stderr.strip()}")
    finally:
        if bench:
            bench.store.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
