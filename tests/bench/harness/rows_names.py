# SPDX-License-Identifier: Apache-2.0
"""Rows of 100,000 names in one prefix."""
import statistics
import subprocess
import time

from .data import BUCKET, NAMES, all_names
from .processes import peak_rss

PAGE = 1000
# On a busy machine the S3 server takes longer for its 100 pages than one operation may by default.
PATIENT = ["--op-timeout", "10m", "--metadata-ttl", "1h"]


def timed_lines(*command):
    """Seconds of a program, and the lines it printed."""
    started = time.monotonic()
    out = subprocess.run([str(c) for c in command], check=True, capture_output=True).stdout
    return time.monotonic() - started, out.count(b"\n")


def find(path):
    took, lines = timed_lines("find", path, "-type", "f")
    assert lines == NAMES, f"find saw {lines} names"
    return took


def raw_pages(bench, port):
    """Seconds of all list pages, one after the other, not looked at."""
    names = all_names()
    starts = [""] + [f"&start-after=names%2F{names[i - 1]}" for i in range(PAGE, NAMES, PAGE)]
    items = [(f"/{BUCKET}?list-type=2&max-keys={PAGE}&prefix=names%2F{after}", 0, 0) for after in starts]
    return bench.programs.download(port, 1, items)["seconds"]


def find_names(bench):
    """`find` over 100,000 objects, cold beside the raw list pages, and warm."""
    bench.data.put_names()

    def cold():
        with bench.freshly(bench.overlay("names", *PATIENT, cache="cold")) as mount:
            return find(mount.path)

    pairs = bench.in_turn(cold, lambda: raw_pages(bench, bench.store.port))
    ratio = statistics.median(o / t for o, t in pairs)
    bench.report("find over 100,000 objects, cold: time beside the raw list pages", ratio, "x", "<= 1.3",
                 ours_s=statistics.median(o for o, _ in pairs), pages_s=statistics.median(t for _, t in pairs))
    with bench.overlay("names", *PATIENT, cache="cold") as mount:
        find(mount.path)
        before = requests(mount)
        took = find(mount.path)
        bench.report("find, warm: requests", requests(mount) - before, "requests", "<= 0", seconds=took)
        bench.report("peak RSS after 100,000 names", peak_rss(mount.pid) / (1 << 20), "MiB")


def requests(mount):
    counted = mount.status()["requests"]
    return counted["heads"] + counted["gets"] + counted["lists"]


def ls_names(bench):
    """`ls -l` of the same, warm, beside an empty FUSE server with the same extended-attribute answers."""
    bench.data.put_names()
    one = bench.data.local / "one-byte"
    for what, options, xattr in (("", [], True), (" --no-xattr", ["--no-xattr"], False)):
        with bench.overlay("names", *PATIENT, *options) as mount, bench.empty(NAMES, one, xattr) as empty:
            bench.compare(f"ls -l of 100,000 names{what}: beside an empty FUSE server",
                          lambda path=mount.path: ls(path), lambda path=empty.path: ls(path), ">= 0.8", rounds=max(bench.rounds, 2))


def ls(path):
    took, lines = timed_lines("ls", "-l", path)
    assert lines == NAMES + 1, f"ls printed {lines} lines"
    return took


ROWS = [find_names, ls_names]
