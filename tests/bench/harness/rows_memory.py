# SPDX-License-Identifier: Apache-2.0
"""Memory under many readers."""
from .data import BUCKET, MIB, write_random
from .processes import peak_rss

READERS = 64
OBJECT_MIB = 64
LIMIT_MIB = 256


def memory(bench):
    """64 readers of 64 objects of 64 MiB: peak RSS within --memory-limit + 64 MiB."""
    prefix = "many"
    local = bench.work / "many"
    source = put_objects(bench, prefix, local)
    wanted = bench.programs.read("files", local)
    with bench.freshly(bench.overlay(prefix, "--memory-limit", f"{LIMIT_MIB}M", port=bench.store.gateway_port, cache="cold")) as mount:
        report = bench.programs.read("files", mount.path, threads=READERS)
        assert report["bytes"] == wanted["bytes"] * READERS and report["operations"] == READERS, report
        expected = f"{int(wanted['checksum'], 16) * READERS % (1 << 64):016x}"
        assert report["checksum"] == expected, f"wrong content: {report}"
        bench.report(f"64 readers of {OBJECT_MIB} MiB: peak RSS above --memory-limit {LIMIT_MIB} MiB",
                     peak_rss(mount.pid) / MIB - LIMIT_MIB, "MiB", "<= 64", mb_per_s=report["bytes"] / 1e6 / report["seconds"])
    del source


def put_objects(bench, prefix, local):
    """One object by upload, the others as copies of it on the server's side."""
    local.mkdir(exist_ok=True)
    source = local / "f0"
    write_random(source, OBJECT_MIB * MIB, seed=3)
    client = bench.store.direct
    present = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("KeyCount", 0)
    if present < READERS:
        client.upload_file(str(source), BUCKET, f"{prefix}/f0")
        for i in range(1, READERS):
            client.copy_object(Bucket=BUCKET, Key=f"{prefix}/f{i}", CopySource={"Bucket": BUCKET, "Key": f"{prefix}/f0"})
    return source


ROWS = [memory]
