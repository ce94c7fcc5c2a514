#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: ratios of things measured side by side, one after the other, several rounds. Every content is checked.

BUILD was configured with -DS3OVERLAY_BENCH=ON, and `bench_programs` and `s3overlay` are built. Root, on a machine with
/dev/fuse. Starts an S3 server, nginx as a cache before it, and a proxy that puts them far away; all on 127.0.0.1.
"""
import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from harness import rows_cached, rows_cold, rows_memory, rows_names, rows_small
from harness.bench import Bench
from harness.data import TestData
from harness.peers import install_peers, installed_peers
from harness.programs import Programs
from harness.quiet import QuietTime
from harness.report import line_of, machine
from harness.store import Store

ROWS = [*rows_cached.ROWS, *rows_cold.ROWS, *rows_small.ROWS, *rows_names.ROWS, *rows_memory.ROWS]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", type=pathlib.Path, help="the build directory")
    parser.add_argument("--only", default="", metavar="REGEX", help="rows whose name matches: " + ", ".join(r.__name__ for r in ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of the big object")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results there")
    parser.add_argument("--no-peers", action="store_true", help="leave rclone and s3fs out")
    parser.add_argument("--keep", metavar="NAME", help="keep the store and the data under this name, and use what is there")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp"), metavar="DIR",
                        help="where caches and local files lie: its file system is part of what is measured")
    parser.add_argument("--lock", type=pathlib.Path, metavar="FILE", help="hold this file's lock while a row runs")
    parser.add_argument("--install", action="store_true", help="install nginx and the peers by apt-get, and end")
    arguments = parser.parse_args()
    if not arguments.install and arguments.build is None:
        parser.error("the build directory is missing")
    return arguments


def directories(arguments):
    """The store's (in memory, so that dropping the page cache leaves it alone) and the work directory (on disk)."""
    if arguments.keep:
        store, work = pathlib.Path("/dev/shm") / arguments.keep, arguments.work / f"{arguments.keep}-work"
        work.mkdir(exist_ok=True)
        return store, work
    work = pathlib.Path(tempfile.mkdtemp(prefix="s3overlay-bench.", dir=arguments.work))
    return pathlib.Path("/dev/shm") / work.name, work


def run_rows(arguments, bench):
    quiet = QuietTime(arguments.lock)
    failed = []
    for row in ROWS:
        if not re.search(arguments.only, row.__name__):
            continue
        bench.row = row.__name__
        with quiet:
            try:
                row(bench)
            except subprocess.CalledProcessError as error:
                failed.append(f"{row.__name__}: {' '.join(map(str, error.cmd))}: {error.stderr.strip()[-500:]}")
            except Exception as error:  # pylint: disable=broad-except  # The other rows go on; the exit status tells.
                failed.append(f"{row.__name__}: {error!r}")
        if failed and failed[-1].startswith(row.__name__):
            print(f"  failed: {failed[-1]}", flush=True)
    return failed


def end_as_on_an_error(signal_number, _):
    """So that nothing is left mounted or running."""
    raise SystemExit(128 + signal_number)


def main():
    signal.signal(signal.SIGTERM, end_as_on_an_error)
    arguments = parse_arguments()
    if arguments.install:
        install_peers()
        return 0
    build = arguments.build.resolve()
    programs = Programs(build / "tests/bench")
    store_directory, work = directories(arguments)
    store = Store(store_directory)
    try:
        data = TestData(store, programs, work / "local", arguments.size)
        data.warm_the_store()
        bench = Bench(programs, build / "s3overlay", store, data, work, arguments.rounds,
                      [] if arguments.no_peers else installed_peers())
        bench.on_result = lambda result: print(line_of(result), flush=True)
        failed = run_rows(arguments, bench)
        if arguments.json:
            document = {"schema": 1, "machine": machine(build), "rounds": arguments.rounds,
                        "work": str(arguments.work), "size_mib": arguments.size,
                        "results": [{**vars(r), "is_met": r.is_met} for r in bench.results], "failed": failed}
            arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    finally:
        store.stop(keep=bool(arguments.keep))
        if not arguments.keep:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
