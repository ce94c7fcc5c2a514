# SPDX-License-Identifier: Apache-2.0
"""Rows in which one large object comes from the store: near, and a round trip of 30 ms and 80 MB/s a connection away."""
import os
import statistics
import time

from .bench import median
from .data import BUCKET, FIRST_FILES, MIB
from .distance import ROUND_TRIP_S
from .programs import hold_to, ranges

PART = 8 * MIB


def parts(bench):
    return ranges(f"/{BUCKET}/big/big.bin", bench.data.size, PART)


def read_cold(bench, mounted, wanted, **arguments):
    """Seconds of one sequential read of an object that is nowhere but in the store, and CPU seconds of the daemon."""
    with bench.freshly(mounted):
        os.stat(mounted.path / "big.bin")
        before = mounted.cpu_seconds()
        report = bench.programs.read("sequential", mounted.path / "big.bin", **arguments)
        hold_to(wanted, report, f"{mounted.name}: big.bin")
        return report["seconds"], mounted.cpu_seconds() - before, report["cpu_s"]


def best_download(bench, port, wanted, connections=(1, 2, 4, 8, 16)):
    """Seconds of the plain downloader with the number of connections that is best, and that number."""
    times = {n: min(bench.programs.download(port, n, parts(bench), wanted)["seconds"] for _ in range(2)) for n in connections}
    best = min(times, key=times.get)
    return times[best], best


def handed_over(bench, wanted):
    """Seconds that an empty FUSE server takes to hand over the same bytes."""
    with bench.empty(1, bench.data.big) as empty:
        bench.programs.read("drop", empty.path / "f0")
        return bench.programs.read_like(wanted, "sequential", empty.path / "f0")["seconds"]


def written(bench):
    """Seconds that writing the bytes to a file of the cache's file system takes, without waiting for the disk."""
    block = memoryview(bench.data.big.read_bytes()[:PART])
    target = bench.work / "written"
    target.unlink(missing_ok=True)
    started = time.monotonic()
    with open(target, "wb", buffering=0) as file:
        for _ in range(bench.data.size // PART):
            file.write(block)
    took = time.monotonic() - started
    target.unlink()
    return took


def cold_near(bench):
    """Cold, sequential, one reader, store on loopback."""
    wanted = bench.programs.read("sequential", bench.data.big)
    download_wanted = bench.programs.read("parts", bench.data.big, size=PART)
    _, connections = best_download(bench, bench.store.port, download_wanted)
    rounds, peers = [], {}
    for _ in range(bench.rounds):
        ours = read_cold(bench, bench.overlay("big", cache="cold"), wanted)
        plain = bench.programs.download(bench.store.port, connections, parts(bench), download_wanted)["seconds"]
        rounds.append((*ours, plain, handed_over(bench, wanted), written(bench)))
        for peer in bench.peer_mounts("big", cache="cold"):
            peers.setdefault(peer.name, []).append(read_cold(bench, peer, wanted))
    ours_s, cpu_s, reader_cpu_s, plain_s, handed_s, written_s = (statistics.median(c) for c in zip(*rounds))
    bench.report("cold 1 GiB near: time beside download + hand-over + write",
                 statistics.median(r[0] / (r[3] + r[4] + r[5]) for r in rounds), "x", "<= 1", ours_s=ours_s, download_s=plain_s,
                 connections=connections, hand_over_s=handed_s, write_s=written_s, mb_per_s=bench.data.size / 1e6 / ours_s)
    gib = bench.data.size / (1024 * MIB)
    bench.report("CPU of the daemon, cold", cpu_s / gib, "s/GiB", reader_s_per_gib=reader_cpu_s / gib)
    bench.against_best_peer("cold 1 GiB near: beside the best peer", ours_s, {n: median(p, 0) for n, p in peers.items()}, ">= 2")
    for name, measured in peers.items():
        bench.report(f"CPU of {name}, cold", median(measured, 1) / gib, "s/GiB")


def cold_far(bench):
    """The same from far away."""
    wanted = bench.programs.read("sequential", bench.data.big)
    download_wanted = bench.programs.read("parts", bench.data.big, size=PART)
    with bench.far() as far:
        connections = []

        def ours():
            far.statistics()
            took = read_cold(bench, bench.overlay("big", port=far.port, cache="cold"), wanted)[0]
            connections.append(far.statistics()["peak"])
            return took

        def plain():
            return bench.programs.download(far.port, 16, parts(bench), download_wanted)["seconds"]

        ours_s = bench.compare("cold 1 GiB far: beside a plain downloader over 16 connections", ours, plain, ">= 0.85")
        bench.report("cold 1 GiB far", bench.data.size / 1e6 / ours_s, "MB/s", connections=max(connections))
        peers_s = {p.name: read_cold(bench, p, wanted)[0] for p in bench.peer_mounts("big", port=far.port, cache="cold")}
        bench.against_best_peer("cold 1 GiB far: beside the best peer", ours_s, peers_s, "")


def first_byte(bench):
    """The first byte of an object, in round trips: metadata and connection warm, and after a fresh mount."""
    with bench.far() as far:
        warm, cold = [], []
        with bench.freshly(bench.overlay("first", port=far.port, cache="cold")) as mount:
            os.listdir(mount.path)
            for i in range(FIRST_FILES):
                report = read_first(bench, mount, i)
                if i > 0:  # The first one opens the connection.
                    warm.append(report["seconds"])
        for i in range(bench.rounds):
            with bench.freshly(bench.overlay("first", port=far.port, cache="cold")) as mount:
                report = read_first(bench, mount, i % FIRST_FILES)
                cold.append((report["seconds"], report["open_s"], report["read_s"]))
    bench.report("first byte, metadata and connection warm", statistics.median(warm) / ROUND_TRIP_S, "round trips", "<= 1.5")
    total, opened, read = (statistics.median(c) / ROUND_TRIP_S for c in zip(*cold))
    bench.report("cold open and read", total, "round trips", "<= 2.5", open=opened, read=read)


def read_first(bench, mount, i):
    wanted = bench.programs.read("first", bench.data.local / f"first/f{i}")
    return bench.programs.read_like(wanted, "first", mount.path / f"f{i}")


def cold_random(bench):
    """Random reads of 128 KiB, at offsets that are multiples of 4 KiB only, far away."""
    asked = {"count": 60, "size": 128 * 1024, "align": 4096}
    wanted = bench.programs.read("random", bench.data.big, **asked)
    with bench.far() as far:
        latency, fetched = random_reads(bench, far, bench.overlay("big", port=far.port, cache="cold"), wanted, asked)
        bench.report("cold random 128 KiB pread far", latency / ROUND_TRIP_S, "round trips", "<= 1.2", ms=latency * 1000)
        bench.report("the same: bytes fetched a byte asked", fetched, "x", "<= 2.1")
        for peer in bench.peer_mounts("big", port=far.port, cache="cold"):
            latency, fetched = random_reads(bench, far, peer, wanted, asked)
            bench.report(f"cold random 128 KiB pread far: {peer.name}", latency * 1000, "ms", fetched_a_byte=fetched)


def random_reads(bench, far, mounted, wanted, asked):
    with bench.freshly(mounted):
        os.stat(mounted.path / "big.bin")
        far.statistics()
        report = bench.programs.read_like(wanted, "random", mounted.path / "big.bin", **asked)
        time.sleep(0.5)  # What was fetched ahead counts, too.
        return report["seconds"] / asked["count"], far.statistics()["bytes"] / report["bytes"]


def cold_touch(bench):
    """One byte each of random pages of a mapping, far away: with the program's advice (madvise) that they are random, and
    without. Without it the kernel reads around the first hundred faults of an open file, as far as its readahead goes."""
    for what, advise in (("", 1), (" without madvise", 0)):
        asked = {"count": 100, "advise": advise}
        wanted = bench.programs.read("touch", bench.data.big, **asked)
        with bench.far() as far, bench.freshly(bench.overlay("big", port=far.port, cache="cold")) as mount:
            os.stat(mount.path / "big.bin")
            far.statistics()
            report = bench.programs.read_like(wanted, "touch", mount.path / "big.bin", **asked)
            time.sleep(0.5)
            kib = far.statistics()["bytes"] / asked["count"] / 1024
            bench.report(f"random touch through mmap{what}: fetched", kib, "KiB/touch", "<= 256",
                         ms=report["seconds"] / asked["count"] * 1000)


def cold_streams(bench):
    """Eight interleaved sequential streams through one descriptor, beside one stream, far away."""
    wanted = bench.programs.read("streams", bench.data.big, count=8)
    whole = bench.programs.read("sequential", bench.data.big)
    with bench.far() as far:
        slowest = []

        def eight():
            with bench.freshly(bench.overlay("big", port=far.port, cache="cold")) as mount:
                os.stat(mount.path / "big.bin")
                report = bench.programs.read_like(wanted, "streams", mount.path / "big.bin", count=8)
                slowest.append(report["slowest_to_mean"])
                return report["seconds"]

        def one():
            return read_cold(bench, bench.overlay("big", port=far.port, cache="cold"), whole)[0]

        bench.compare("8 interleaved streams far: beside one stream", eight, one, ">= 0.7")
        bench.report("the same: slowest stream's waiting to the mean", max(slowest), "x", "<= 2")


ROWS = [cold_near, cold_far, first_byte, cold_random, cold_touch, cold_streams]
