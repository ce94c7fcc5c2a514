# SPDX-License-Identifier: Apache-2.0
"""The project's own programs of the benchmarks: the reader, and the plain S3 client."""
import json

from .processes import run
from .store import endpoint


class WrongContent(RuntimeError):
    pass


class Programs:
    def __init__(self, directory):
        self.directory = directory

    def read(self, mode, path, **arguments):
        """What the reader reports: seconds, bytes, operations, checksum, cpu_s, and what the mode adds."""
        pairs = [f"{name}={value}" for name, value in arguments.items()]
        return json.loads(run(self.directory / "bench_reader", mode, path, *pairs))

    def read_like(self, wanted, mode, path, **arguments):
        """The same; raises WrongContent where it read something else than `wanted`, another report, says."""
        report = self.read(mode, path, **arguments)
        hold_to(wanted, report, f"{mode} {path}")
        return report

    def download(self, port, connections, items, wanted=None):
        """`items`: (path, offset, size) each; a size of 0 is all of it, with no Range."""
        lines = "".join(f"{path} {offset} {size}\n" for path, offset, size in items)
        report = json.loads(run(self.directory / "bench_s3_client", "get", endpoint(port), connections, input=lines))
        if wanted is not None:
            hold_to(wanted, report, "download")
        return report

    def upload(self, port, connections, items):
        """`items`: (path, local file) each."""
        lines = "".join(f"{path} {file}\n" for path, file in items)
        return json.loads(run(self.directory / "bench_s3_client", "put", endpoint(port), connections, input=lines))


def hold_to(wanted, report, what):
    for field in ("bytes", "checksum"):
        if report[field] != wanted[field]:
            raise WrongContent(f"{what}: {field} is {report[field]}, and {wanted[field]} was expected")


def ranges(path, size, part):
    return [(path, offset, min(part, size - offset)) for offset in range(0, size, part)]
