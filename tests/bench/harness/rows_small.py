# SPDX-License-Identifier: Apache-2.0
"""Rows of many small files that come from the store, far away."""
import os
import time

from .data import BUCKET, SMALL_FILES, small_names

PROBED_FILES = 300   # Who takes a round trip a file is not asked for all of them.
SLOW_PER_S = 500
HEADER_BYTES = 450   # Of one answer.


def rate(report):
    """Files a second, without the listing."""
    return report["operations"] / (report["seconds"] - report["list_s"])


def read_small(bench, far, mounted, limits=(PROBED_FILES, SMALL_FILES), **arguments):
    """Reads the first PROBED_FILES, and where that is fast, afresh, all; answers the reader's report with what passed."""
    report = {}
    for limit in limits:
        wanted = bench.programs.read("files", bench.data.small, limit=limit, **arguments)
        with bench.freshly(mounted):
            before = mounted.cpu_seconds()
            far.statistics()
            report = bench.programs.read_like(wanted, "files", mounted.path, limit=limit, **arguments)
            report["daemon_cpu_s"] = mounted.cpu_seconds() - before
            time.sleep(0.5)  # What was fetched ahead counts, too.
            report["passed"] = far.statistics()
        if rate(report) < SLOW_PER_S:
            break
    return report


def wasted(report, lists=0):
    """Share of the bytes that came and were not read."""
    others = HEADER_BYTES * report["operations"] + lists
    return (report["passed"]["bytes"] - others - report["bytes"]) / report["bytes"]


def list_bytes(bench, far):
    """Of the listing that comes before."""
    with bench.freshly(bench.overlay("small", port=far.port, cache="cold")) as mount:
        far.statistics()
        os.listdir(mount.path)
        return far.statistics()["bytes"]


def small_in_order(bench):
    """10,000 files of 16 KiB, one reader, in listing order."""
    with bench.far() as far:
        listed = list_bytes(bench, far)
        ours = read_small(bench, far, bench.overlay("small", port=far.port, cache="cold"))
        connections = ours["passed"]["peak"]
        items = [(f"/{BUCKET}/small/{name}", 0, 0) for name in small_names()[:ours["operations"]]]
        plain = bench.programs.download(far.port, connections, items, ours)
        per_s = plain["operations"] / plain["seconds"]
        bench.report("small files in order far: beside the plain downloader", rate(ours) / per_s, "x", ">= 0.7",
                     ours_per_s=rate(ours), downloader_per_s=per_s, connections=connections, files=ours["operations"],
                     wasted=wasted(ours, listed), cpu_ms_a_file=1000 * ours["daemon_cpu_s"] / ours["operations"])
        peers = {peer.name: rate(read_small(bench, far, peer)) for peer in bench.peer_mounts("small", far.port, "cold")}
        if peers:
            bench.report("the same: beside the best peer", rate(ours) / max(peers.values()), "x", ">= 20", **peers)


def small_shuffled(bench):
    """The same files in shuffled order after a listing, 8 readers."""
    how = {"threads": 8, "shuffle": 7}
    with bench.far() as far:
        listed = list_bytes(bench, far)
        ours = read_small(bench, far, bench.overlay("small", port=far.port, cache="cold"), limits=[SMALL_FILES], **how)
        bench.report("small files shuffled far, 8 readers: wasted bytes", wasted(ours, listed), "x", "<= 0.1",
                     ours_per_s=rate(ours), files=ours["operations"], connections=ours["passed"]["peak"])
        peers = {peer.name: rate(read_small(bench, far, peer, **how)) for peer in bench.peer_mounts("small", far.port, "cold")}
        if peers:
            bench.report("the same: beside the best peer", rate(ours) / max(peers.values()), "x", ">= 2", **peers)


ROWS = [small_in_order, small_shuffled]
