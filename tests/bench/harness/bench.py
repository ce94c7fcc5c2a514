# SPDX-License-Identifier: Apache-2.0
"""What every row stands on: the store, the data, what can be mounted, and the results."""
import contextlib
import dataclasses
import statistics

from .distance import Distance
from .mounts import EmptyServer, Overlay

SLOW_BYTES_PER_SECOND = 15e6  # A connection.


@dataclasses.dataclass
class Result:
    row: str
    what: str
    value: float
    unit: str
    target: str = ""       # ">= 0.9", "<= 2"; empty: reported only.
    details: dict = dataclasses.field(default_factory=dict)

    @property
    def is_met(self):
        if not self.target:
            return None
        relation, number = self.target.split()
        return self.value >= float(number) if relation == ">=" else self.value <= float(number)


class Bench:
    def __init__(self, programs, binary, store, data, work, rounds, peers):
        self.programs = programs
        self.binary = binary
        self.store = store
        self.data = data
        self.work = work
        self.rounds = rounds
        self.peers = peers
        self.results = []
        self.row = ""
        self.on_result = lambda result: None

    # What can be mounted.
    def overlay(self, layer, *options, port=None, cache="cache"):
        """`layer`: a prefix of the bucket, or a local directory. `port`: a Distance's; default: the store's."""
        return Overlay(self.work, self.binary, layer, port or self.store.port, options, cache)

    def empty(self, files, content, xattr=False):
        return EmptyServer(self.work, self.programs.directory, files, content, xattr)

    def peer_mounts(self, prefix, port=None, cache="cache"):
        return [peer(self.work, prefix, port or self.store.port, cache) for peer in self.peers]

    def far(self):
        return Distance(self.programs.directory, self.store.port)

    @contextlib.contextmanager
    def filled(self, prefix, name):
        """The cache is filled with an object; answers the port under which it is known there. The store is slow, so that
        the disk can follow."""
        with Distance(self.programs.directory, self.store.port, 0, SLOW_BYTES_PER_SECOND) as slow:
            with self.overlay(prefix, port=slow.port).forget() as mount:
                mount.fill(name, self.read_anew)
            yield slow.port
            self.overlay(prefix).forget()

    def read_anew(self, path):
        """Past the pages that an earlier pass left."""
        self.programs.read("drop", path)
        self.programs.read("sequential", path)

    # Results.
    def report(self, what, value, unit="", target="", **details):
        rounded = {name: round(v, 6) if isinstance(v, float) else v for name, v in details.items()}
        result = Result(self.row, what, value, unit, target, rounded)
        self.results.append(result)
        self.on_result(result)

    def in_turn(self, *measures, rounds=None):
        """Runs the measures, functions that answer a number, one after the other, so many rounds; answers a list of
        tuples, one a round."""
        return [tuple(measure() for measure in measures) for _ in range(rounds or self.rounds)]

    def compare(self, what, ours, theirs, target, rounds=None):
        """Speed of ours beside theirs; each answers seconds for the same work. Above 1: ours is faster."""
        pairs = self.in_turn(ours, theirs, rounds=rounds)
        ratio = statistics.median(t / o for o, t in pairs)
        self.report(what, ratio, "x", target, ours_s=median(pairs, 0), theirs_s=median(pairs, 1))
        return median(pairs, 0)

    def against_best_peer(self, what, ours_s, peers_s, target):
        """`peers_s`: seconds by peer's name."""
        if peers_s:
            self.report(what, min(peers_s.values()) / ours_s, "x", target, ours_s=ours_s, **{f"{n}_s": s for n, s in peers_s.items()})

    @contextlib.contextmanager
    def freshly(self, mounted):
        """Mounted, and nothing is cached anywhere but in the store."""
        with mounted.forget():
            yield mounted
        mounted.forget()


def median(tuples, index):
    return statistics.median(t[index] for t in tuples)
