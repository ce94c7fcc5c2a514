# SPDX-License-Identifier: Apache-2.0
"""Rows whose bytes are on this machine: complete objects, local files, small cached files."""
import statistics

from .data import MIB, SMALL_BYTES, SMALL_FILES

RANDOM = {"count": 100_000, "size": 4096}


def seconds(bench, path):
    """Lengths only: a checksum would be half of what native reading takes. The content was checked before."""
    return bench.programs.read("sequential", path, check=0)["seconds"]


def beside_native(bench, what, path):
    """Sequential and random reads of a file in passthrough: the file below is warm; there are no pages above."""
    native = bench.data.big
    bench.programs.read_like(bench.programs.read("sequential", native), "sequential", path)
    ours_s = bench.compare(f"{what}: sequential, beside native", lambda: seconds(bench, path), lambda: seconds(bench, native), ">= 0.9")
    wanted = bench.programs.read("random", native, **RANDOM)
    pairs = bench.in_turn(lambda: bench.programs.read_like(wanted, "random", path, **RANDOM)["seconds"],
                          lambda: bench.programs.read_like(wanted, "random", native, **RANDOM)["seconds"])
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    bench.report(f"{what}: random 4 KiB, latency beside native", statistics.median(o / t for o, t in pairs), "x", "<= 2",
                 ours_us=ours / RANDOM["count"] * 1e6, native_us=theirs / RANDOM["count"] * 1e6)
    return ours_s


def cached_object(bench):
    """An object wholly in the cache, in passthrough."""
    with bench.filled("big", "big.bin") as port, bench.overlay("big", port=port) as mount:
        ours_s = beside_native(bench, "cached object", mount.path / "big.bin")
        assert mount.is_passed_through("big.bin")
    peers_s = {}
    for peer in bench.peer_mounts("big"):
        with peer:
            peers_s[peer.name] = cached_in_peer(bench, peer)
        peer.forget()
    bench.against_best_peer("cached object: sequential, beside the best peer", ours_s, peers_s, ">= 4")


def cached_in_peer(bench, peer):
    wanted = bench.programs.read("sequential", bench.data.big)
    bench.programs.read_like(wanted, "sequential", peer.path / "big.bin")

    def cold_above():
        bench.programs.read("drop", peer.path / "big.bin")
        return seconds(bench, peer.path / "big.bin")

    return statistics.median(cold_above() for _ in range(bench.rounds))


def local_file(bench):
    """A local file that no object stands before, in passthrough."""
    with bench.overlay(bench.data.local / "big", port=bench.store.port) as mount:
        beside_native(bench, "local file", mount.path / "big.bin")
        assert mount.is_passed_through("big.bin")


def without_passthrough(bench):
    """A cached object read through the daemon, beside a server that answers from memory."""
    wanted = bench.programs.read("sequential", bench.data.big)
    with bench.filled("big", "big.bin") as port:
        with bench.overlay("big", "--no-passthrough", port=port) as mount, bench.empty(1, bench.data.big) as empty:
            # The first pass checks each block for the first time in this run.
            bench.programs.read_like(wanted, "sequential", mount.path / "big.bin")
            cpu = [mount.cpu_seconds()]

            def cold_above(path):
                bench.programs.read("drop", path)
                return bench.programs.read_like(wanted, "sequential", path)["seconds"]

            bench.compare("cached object, no passthrough: beside an empty FUSE server",
                          lambda: cold_above(mount.path / "big.bin"), lambda: cold_above(empty.path / "f0"), ">= 0.8")
            cpu.append(mount.cpu_seconds())
            assert mount.status()["requests"]["gets"] == 0
    gib = bench.data.size * bench.rounds / (1024 * MIB)
    bench.report("CPU of the daemon, from the cache, no passthrough", (cpu[1] - cpu[0]) / gib, "s/GiB")


def small_cached(bench):
    """Open, read and close small cached files whose metadata is known; no pages above."""
    wanted = bench.programs.read("files", bench.data.small)
    content = bench.data.small / "f00000"
    with bench.overlay("small", "--metadata-ttl", "1h") as mount, bench.empty(SMALL_FILES, content) as empty:
        bench.programs.read_like(wanted, "files", mount.path)
        bench.programs.read("files", empty.path)

        def ours():
            bench.programs.read("drop", mount.path)
            return bench.programs.read_like(wanted, "files", mount.path)["seconds"]

        def theirs():
            bench.programs.read("drop", empty.path)
            report = bench.programs.read("files", empty.path)
            assert report["bytes"] == SMALL_FILES * SMALL_BYTES
            return report["seconds"]

        ours_s = bench.compare("small cached files: open+read+close, beside an empty FUSE server", ours, theirs, ">= 0.6")
        bench.report("small cached files per second", SMALL_FILES / ours_s, "/s")
        kept = [bench.programs.read_like(wanted, "files", mount.path)["seconds"] for _ in range(bench.rounds)]
        bench.report("the same with pages above", SMALL_FILES / statistics.median(kept), "/s")


ROWS = [cached_object, local_file, without_passthrough, small_cached]
