# SPDX-License-Identifier: Apache-2.0
"""A quiet machine while a row runs: others that build hold a shared lock on the same file."""
import fcntl
import time

LONGEST_WAIT_S = 60


class QuietTime:
    """Holds an exclusive lock inside a `with`, or none when there is no file. Where the lock cannot be had for a minute
    the row runs anyway."""

    def __init__(self, path):
        self.file = open(path, "a+", encoding="utf-8") if path else None  # pylint: disable=consider-using-with

    def __enter__(self):
        deadline = time.monotonic() + LONGEST_WAIT_S
        while self.file and time.monotonic() < deadline:
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.05)

    def __exit__(self, *_):
        if self.file:
            fcntl.flock(self.file, fcntl.LOCK_UN)
