# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks read: objects in the store, and the same bytes as local files."""
import pathlib
import random
import shutil

from boto3.s3.transfer import TransferConfig

BUCKET = "bench-bucket"
SMALL_FILES = 10_000
SMALL_BYTES = 16 * 1024
NAMES = 100_000
FIRST_FILES = 8
FIRST_BYTES = 4 << 20
MIB = 1 << 20


class TestData:
    """Directories below `local` and prefixes of the bucket are the same:

    big/big.bin   one object of `size_mib`
    first/fN      objects whose first byte is timed
    small/fNNNNN  10,000 of 16 KiB
    names/fNNNNNN 100,000 of one byte (no local files are kept)
    """

    def __init__(self, store, programs, local, size_mib):
        self.store = store
        self.programs = programs
        self.local = pathlib.Path(local)
        self.size = size_mib * MIB
        self.big = self.local / "big/big.bin"
        self.small = self.local / "small"
        self.make()

    def make(self):
        if not self._exists():
            shutil.rmtree(self.local, ignore_errors=True)
            self.store.direct.create_bucket(Bucket=BUCKET)
        for name, step in {"big": self._put_big, "first": self._put_first, "small": self._put_small}.items():
            done = self.local / f".{name}.{self.size if name == 'big' else 0}"
            if not done.exists():
                (self.local / name).mkdir(parents=True, exist_ok=True)
                step()
                done.touch()

    def _exists(self):
        return any(b["Name"] == BUCKET for b in self.store.direct.list_buckets()["Buckets"]) and self.local.exists()

    def _put_big(self):
        write_random(self.big, self.size, seed=1)
        config = TransferConfig(multipart_threshold=64 * MIB, multipart_chunksize=64 * MIB)
        self.store.direct.upload_file(str(self.big), BUCKET, "big/big.bin", Config=config)

    def _put_first(self):
        for i in range(FIRST_FILES):
            write_random(self.local / f"first/f{i}", FIRST_BYTES, seed=100 + i)
        self._upload("first", sorted(p.name for p in (self.local / "first").iterdir()), connections=2)

    def _put_small(self):
        source = random.Random(2)
        names = small_names()
        for name in names:
            (self.small / name).write_bytes(source.randbytes(SMALL_BYTES))
        self._upload("small", names, connections=8)

    def put_names(self):
        """100,000 objects take a while; only the rows that need them ask."""
        done = self.local / ".names"
        if done.exists():
            return
        one = self.local / "one-byte"
        one.write_bytes(b"x")
        self.programs.upload(self.store.gateway_port, 8, [(f"/{BUCKET}/names/{name}", one) for name in all_names()])
        done.touch()

    def _upload(self, prefix, names, connections):
        items = [(f"/{BUCKET}/{prefix}/{name}", self.local / prefix / name) for name in names]
        self.programs.upload(self.store.gateway_port, connections, items)

    def warm_the_store(self):
        """So that no benchmark waits for the S3 server's own speed."""
        wholes = [(f"/{BUCKET}/big/big.bin", 0, 0)]
        wholes += [(f"/{BUCKET}/first/f{i}", 0, 0) for i in range(FIRST_FILES)]
        wholes += [(f"/{BUCKET}/small/{name}", 0, 0) for name in small_names()]
        self.programs.download(self.store.port, 4, wholes)


def small_names():
    return [f"f{i:05}" for i in range(SMALL_FILES)]


def all_names():
    return [f"f{i:06}" for i in range(NAMES)]


def write_random(path, size, seed):
    source = random.Random(seed)
    with open(path, "wb") as file:
        for offset in range(0, size, 16 * MIB):
            file.write(source.randbytes(min(16 * MIB, size - offset)))
