#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A mount with one local layer, held call by call against the directory itself: the same answers and the same errors.

Usage: parity_test.py S3OVERLAY_BINARY
"""
import contextlib
import errno
import mmap
import os
import pathlib
import socket
import stat
import subprocess
import sys
import tempfile
import unittest

BINARY = sys.argv.pop(1) if len(sys.argv) > 1 else "s3overlay"
BLOCK = 128 * 1024
LIMIT_S = 120  # Only a hang meets it.

SIZES = [0, 1, 4095, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 1024 * 1024 + 1]
ODD_NAMES = [b"with space", b" lead", b"trail ", b"a+b%41", b"new\nline", b"\xff\xfe-no-utf8", "ü漢😀".encode(), b"n" * 255, b"..."]


def make_tree(root):
    for size in SIZES:
        (root / f"size-{size}").write_bytes(os.urandom(size))
    (root / "odd").mkdir()
    for name in ODD_NAMES:
        with open(os.path.join(os.fsencode(root / "odd"), name), "wb") as file:
            file.write(b"content of " + name)
    deep = root.joinpath("deep", *(f"level-{i}" for i in range(40)))
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep")
    (root / "empty-dir").mkdir()
    make_special_files(root)


def make_special_files(root):
    for mode in (0o644, 0o600, 0o444, 0o755, 0o000):
        path = root / f"mode-{mode:o}"
        path.write_text("modes")
        path.chmod(mode)
    (root / "dir-700").mkdir(mode=0o700)
    os.link(root / "size-1", root / "hard-link")
    os.symlink("size-4096", root / "link")
    os.symlink("nowhere", root / "dangling")
    os.symlink("loop-b", root / "loop-a")
    os.symlink("loop-a", root / "loop-b")
    os.symlink("deep/level-0", root / "dir-link")
    os.symlink("x" * 4000, root / "long-link")
    os.mkfifo(root / "fifo")
    os.mknod(root / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "loop", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    os.utime(root / "size-0", ns=(1_000_000_000_123_456_789, 1_234_567_890_987_654_321))
    os.utime(root / "size-1", ns=(0, 0))
    with open(root / "sparse", "wb") as file:
        file.seek(3 * 1024 * 1024)
        file.write(b"end")
    with contextlib.suppress(OSError):  # Not on every file system.
        os.setxattr(root / "size-4096", "user.test", b"value\0with nul")
        os.setxattr(root / "empty-dir", "user.dir", b"of a directory")


class Overlay:
    """One mount over nothing but a local directory."""

    def __init__(self, scratch, layer):
        self.scratch = scratch
        self.path = scratch / "mnt"
        self.path.mkdir()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "OVH_S3_", "S3OVERLAY_", "S3_"))}
        self.environment["AWS_EC2_METADATA_DISABLED"] = "true"
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            self.environment[name] = f"{os.environ.get(name, '')}:log_path={scratch}/sanitizer"
        self.run("mount", "--layer", str(layer), "--no-cache", "--log-file", str(scratch / "log"), str(self.path))

    def run(self, *arguments):
        subprocess.run([BINARY, *arguments], env=self.environment, check=True, timeout=LIMIT_S)

    def close(self):
        self.run("umount", str(self.path))
        assert not os.path.ismount(self.path), "still mounted"
        reports = [file.read_text() for file in self.scratch.glob("sanitizer*")]
        assert not reports, reports[0]


def outcome(function, *arguments, **keywords):
    """What a call answers: its value, or the name of its errno."""
    try:
        return function(*arguments, **keywords)
    except OSError as error:
        return errno.errorcode[error.errno]


def attributes(path, follow):
    found = os.stat(path, follow_symlinks=follow)
    kind = stat.S_IFMT(found.st_mode)
    shared = (kind, found.st_mtime_ns, found.st_rdev)
    if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
        shared += (stat.S_IMODE(found.st_mode) & 0o555,)
    return shared + (found.st_size,) if not stat.S_ISDIR(found.st_mode) else shared


def read_at(path, offset, size):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


def open_with(path, flags):
    os.close(os.open(path, flags))
    return "opened"


def seek(path, offset, whence):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.lseek(fd, offset, whence)
    finally:
        os.close(fd)


def mapped(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        return memory[:]


def kinds(path):
    with os.scandir(path) as entries:
        return sorted((entry.name, entry.is_file(follow_symlinks=False), entry.is_dir(follow_symlinks=False),
                       entry.is_symlink()) for entry in entries)


class Parity(unittest.TestCase):
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="s3overlay-parity-")
        cls.local = pathlib.Path(cls.scratch.name) / "local"
        cls.local.mkdir()
        make_tree(cls.local)
        cls.overlay = Overlay(pathlib.Path(cls.scratch.name), cls.local)

    @classmethod
    def tearDownClass(cls):
        cls.overlay.close()
        cls.scratch.cleanup()

    def same(self, function, name, *arguments):
        """The call answers alike below the directory and below the mount."""
        wanted = outcome(function, os.path.join(os.fsencode(self.local), name), *arguments)
        found = outcome(function, os.path.join(os.fsencode(self.overlay.path), name), *arguments)
        self.assertEqual(found, wanted, f"{function.__name__} {name[:60]} {arguments}")
        return wanted

    def paths(self):
        root = os.fsencode(self.local)
        for folder, folders, files in os.walk(root):
            for name in sorted(folders + files):
                yield os.path.relpath(os.path.join(folder, name), root)

    def regular(self):
        return [p for p in self.paths() if stat.S_ISREG(os.lstat(os.path.join(os.fsencode(self.local), p)).st_mode)]

    def test_attributes(self):
        for path in self.paths():
            if path != b"fifo":
                self.same(attributes, path, False)
                self.same(attributes, path, True)

    def test_a_fifo_is_shown_and_never_opened(self):
        self.assertFalse(stat.S_IFMT(os.lstat(self.overlay.path / "fifo").st_mode) in (stat.S_IFREG, stat.S_IFDIR))
        self.assertIn(outcome(open_with, self.overlay.path / "fifo", os.O_RDONLY | os.O_NONBLOCK), ("ENXIO", "ENOTSUP"))

    def test_devices_and_sockets_are_shown_and_never_opened(self):
        for name, error in (("null", "EACCES"), ("loop", "EACCES"), ("socket", "ENXIO")):
            self.assertEqual(outcome(open_with, self.overlay.path / name, os.O_RDONLY | os.O_NONBLOCK), error)

    def test_link_count_is_one(self):
        self.assertEqual(os.stat(self.overlay.path / "hard-link").st_nlink, 1)

    def test_inode_numbers_tell_files_apart_and_stay(self):
        numbers = {path: os.lstat(os.path.join(os.fsencode(self.overlay.path), path)).st_ino for path in self.regular()}
        links = {b"hard-link", b"size-1"}
        self.assertEqual(len({number for path, number in numbers.items() if path not in links}), len(numbers) - 2)
        for path, number in numbers.items():
            self.assertEqual(os.lstat(os.path.join(os.fsencode(self.overlay.path), path)).st_ino, number)

    def test_directories(self):
        for path in [b"", b"odd", b"empty-dir", b"deep", b"dir-700", b"dir-link", b"size-1", b"missing", b"dangling"]:
            self.same(lambda p: sorted(os.listdir(p)), path)
            self.same(kinds, path)

    def test_contents(self):
        for path in self.regular():
            self.same(lambda p: pathlib.Path(os.fsdecode(p)).read_bytes(), path)

    def test_reads_at_odd_offsets_and_past_the_end(self):
        for path in (b"size-0", b"size-1", b"size-131073", b"size-1048577", b"sparse"):
            size = os.stat(os.path.join(os.fsencode(self.local), path)).st_size
            for offset in (0, 1, 4095, 4097, BLOCK - 1, BLOCK + 1, max(size - 1, 0), size, size + 1, size + 10 * BLOCK, 2**40):
                for count in (0, 1, 4096, BLOCK + 3):
                    self.same(read_at, path, offset, count)
            self.same(mapped, path) if size else None

    def test_seeks(self):
        for whence in (os.SEEK_SET, os.SEEK_END):
            for offset in (0, 5, -1, -2**20, 2**40):
                self.same(seek, b"size-4096", offset, whence)
        self.same(seek, b"size-4096", 4096, os.SEEK_DATA)
        self.same(seek, b"size-4096", 0, os.SEEK_HOLE)

    def test_links(self):
        for path in (b"link", b"dangling", b"loop-a", b"dir-link", b"long-link", b"size-1", b"deep", b"missing"):
            self.same(os.readlink, path)
        self.same(read_at, b"dir-link/level-1/level-2/../../level-1", 0, 1)

    def test_open_flags(self):
        for path in (b"", b"size-1", b"empty-dir", b"link", b"dangling", b"dir-link", b"loop-a", b"missing", b"size-1/x"):
            for flags in (os.O_RDONLY, os.O_DIRECTORY, os.O_NOFOLLOW, os.O_PATH, os.O_PATH | os.O_NOFOLLOW,
                          os.O_NONBLOCK, os.O_NOATIME, os.O_DIRECTORY | os.O_NOFOLLOW):
                self.same(open_with, path, flags)

    def test_errors(self):
        names = [b"missing", b"missing/below", b"size-1/below", b"size-1/", b"loop-a", b"loop-a/x", b"dangling", b"n" * 256,
                 b"missing/" + b"n" * 256, b"x/" * 2048, b"odd/../size-1", b"odd/./../odd", b"//size-1", b"empty-dir/."]
        for name in names:
            for function in (os.stat, os.lstat):
                self.same(lambda p, f=function: stat.S_IFMT(f(p).st_mode), name)
            self.same(open_with, name, os.O_RDONLY)
            self.same(os.access, name, os.F_OK)
        self.same(read_at, b"deep", 0, 10)

    def test_access(self):
        for path in (b"size-1", b"mode-0", b"mode-755", b"mode-600", b"empty-dir", b"dir-700"):
            for mode in (os.F_OK, os.R_OK, os.X_OK):
                self.same(os.access, path, mode)
        self.assertFalse(os.access(self.overlay.path / "size-1", os.W_OK))

    def test_extended_attributes(self):
        for path in (b"size-4096", b"size-1", b"empty-dir", b"missing"):
            self.same(lambda p: sorted(os.listxattr(p)), path)
            self.same(os.getxattr, path, "user.test")
            self.same(os.getxattr, path, "user.none")

    def test_file_system(self):
        found = os.statvfs(self.overlay.path)
        self.assertEqual(found.f_namemax, 255)
        self.assertTrue(found.f_flag & os.ST_RDONLY)

    def test_changes_below_are_seen_at_once(self):
        changing = self.local / "changing"
        changing.mkdir()
        steps = [
            lambda: (changing / "a").write_text("one"),
            lambda: (changing / "a").write_text("another, longer"),
            lambda: (changing / "a").rename(changing / "b"),
            lambda: (changing / "a").write_text("a again"),
            lambda: (changing / "b").replace(changing / "a"),
            lambda: (changing / "a").unlink(),
            lambda: (changing / "a").mkdir(),
            lambda: (changing / "a").rmdir(),
            lambda: (changing / "a").symlink_to("b"),
        ]
        for step in steps:
            step()
            self.same(lambda p: sorted(os.listdir(p)), b"changing")
            for name in (b"changing/a", b"changing/b"):
                self.same(attributes, name, False)
                self.same(read_at, name, 0, 100)


if __name__ == "__main__":
    unittest.main(verbosity=1)
