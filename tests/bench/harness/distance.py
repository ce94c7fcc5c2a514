# SPDX-License-Identifier: Apache-2.0
"""A distance between client and store, and counts of what passed."""
import json
import subprocess

from .processes import start

ROUND_TRIP_S = 0.030
BYTES_PER_SECOND = 80e6  # A connection.


class Distance:
    """A proxy before the store; `with Distance(...) as d: d.port, d.statistics()`."""

    def __init__(self, programs, store_port, round_trip_s=ROUND_TRIP_S, bytes_per_second=BYTES_PER_SECOND):
        self.command = [programs / "bench_distance_proxy", store_port, round_trip_s * 1000, int(bytes_per_second)]

    def __enter__(self):
        self.process = start(*self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = json.loads(self.process.stdout.readline())["port"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def statistics(self):
        """Bytes from the store, connections opened and the most at a time, since the last call."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())
