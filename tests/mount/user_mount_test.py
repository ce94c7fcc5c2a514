#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A mount of a user who is not root: by fusermount3, with cache and control socket among the user's own files.

Usage: unshare --mount user_mount_test.py S3OVERLAY_BINARY

In a mount namespace of its own, where /dev/fuse can be opened by everybody, as udev makes it on a usual machine.
"""
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

import boto3
from botocore.config import Config

BINARY = sys.argv.pop(1) if len(sys.argv) > 1 else "s3overlay"
USER = 65534  # nobody
OTHER_USER = 65533
LIMIT_S = 120  # Only a hang meets it.
SKIPPED = 77  # CTest's SKIP_RETURN_CODE.


def open_the_fuse_device(scratch):
    if os.stat("/dev/fuse").st_mode & 0o006 == 0o006:
        return
    device = scratch / "fuse"
    os.mknod(device, 0o600 | stat.S_IFCHR, os.stat("/dev/fuse").st_rdev)
    device.chmod(0o666)
    subprocess.run(["mount", "--bind", device, "/dev/fuse"], check=True)


def let_go_of_others():
    """The new namespace has a copy of each mount of the tests that run beside this one, which would outlive its umount."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        mounts = [line.split()[4] for line in table if " - fuse.s3overlay " in line]
    for path in reversed(mounts):
        subprocess.run(["umount", "--lazy", path], check=False)


def is_mounted(path):
    """By the kernel's table: the mount itself tells nothing to root."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        return any(line.split()[4] == str(path) for line in table)


def is_running(pid):
    try:
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def give_to_user(root):
    os.chown(root, USER, USER)
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            os.chown(os.path.join(folder, name), USER, USER)


class UserMount(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch_dir = tempfile.TemporaryDirectory(prefix="s3overlay-user-")
        cls.scratch = pathlib.Path(cls.scratch_dir.name)
        cls.scratch.chmod(0o755)
        open_the_fuse_device(cls.scratch)
        # The build may lie where the user cannot go.
        cls.binary = shutil.copy(BINARY, cls.scratch / "s3overlay")
        cls.home = cls.scratch / "home"
        cls.runtime = cls.scratch / "runtime"
        cls.data = cls.home / "data"
        cls.data.mkdir(parents=True)
        cls.runtime.mkdir(mode=0o700)
        (cls.data / "local").write_text("local")
        give_to_user(cls.home)
        give_to_user(cls.runtime)
        cls.s3 = boto3.client(
            "s3",
            endpoint_url=os.environ["S3OVERLAY_TEST_ENDPOINT"],
            aws_access_key_id=os.environ["S3OVERLAY_TEST_ACCESS_KEY"],
            aws_secret_access_key=os.environ["S3OVERLAY_TEST_SECRET_KEY"],
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        cls.bucket = f"t-user-{uuid.uuid4().hex[:12]}"
        cls.s3.create_bucket(Bucket=cls.bucket)
        cls.object = os.urandom(3 * 1024 * 1024)
        cls.s3.put_object(Bucket=cls.bucket, Key="data/object", Body=cls.object)

    @classmethod
    def tearDownClass(cls):
        cls.s3.delete_object(Bucket=cls.bucket, Key="data/object")
        cls.s3.delete_bucket(Bucket=cls.bucket)
        reports = sorted(cls.home.glob("sanitizer*"))
        texts = "".join(report.read_text() for report in reports)
        cls.scratch_dir.cleanup()
        if texts:
            raise AssertionError(f"a sanitizer found\n{texts}")

    def setUp(self):
        mounted = self.mount()
        self.assertEqual(mounted.returncode, 0, mounted.stderr)

    def tearDown(self):
        if is_mounted(self.data):
            unmounted = self.s3overlay("umount", self.data)
            subprocess.run(["umount", "--lazy", "--quiet", self.data], check=False)
            self.assertEqual(unmounted.returncode, 0, unmounted.stderr)

    def environment(self):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": os.environ["S3OVERLAY_TEST_ENDPOINT"],
            "AWS_ACCESS_KEY_ID": os.environ["S3OVERLAY_TEST_ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": os.environ["S3OVERLAY_TEST_SECRET_KEY"],
        }
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            environment[name] = f"{os.environ.get(name, '')}:log_path={self.home}/sanitizer"
        return environment

    def as_user(self, *command):
        return subprocess.run(
            [str(word) for word in command], env=self.environment(), cwd="/", user=USER, group=USER, extra_groups=[],
            capture_output=True, timeout=LIMIT_S, check=False)

    def s3overlay(self, *arguments):
        result = self.as_user(self.binary, *arguments)
        result.stderr = result.stderr.decode()
        return result

    def mount(self, *more):
        return self.s3overlay(
            "mount", f"s3://{self.bucket}/data", self.data, "--log-file", self.home / "log", "--cache-size", "1G",
            "--cache-min-free", "1M", *more)

    def status(self):
        return json.loads(self.s3overlay("status", "--json", self.data).stdout)

    def read(self, name):
        return self.as_user("cat", self.data / name).stdout

    def wait_until(self, condition, what):
        give_up = time.monotonic() + LIMIT_S
        while not condition():
            self.assertLess(time.monotonic(), give_up, what)
            time.sleep(0.02)

    def test_reads_objects_and_local_files(self):
        self.assertEqual(self.read("object"), self.object)
        self.assertEqual(self.read("local"), b"local")
        resolved = json.loads(self.s3overlay("resolve", "--json", self.data / "local").stdout)
        self.assertEqual(resolved["state"], "fallback")

    def test_what_is_shown_belongs_to_the_user_and_to_nobody_else(self):
        shown = self.as_user("stat", "-c", "%u:%g %A", self.data / "object").stdout
        self.assertEqual(shown, f"{USER}:{USER} -r--r--r--\n".encode())
        with self.assertRaises(PermissionError):  # Not even root, without --allow-other.
            os.stat(self.data / "object")

    def test_status_cache_and_socket_lie_with_the_user(self):
        self.assertEqual(self.read("object"), self.object)
        status = self.status()
        cache = pathlib.Path(status["cache"]["dir"])
        self.assertEqual(cache.parent, self.home / ".cache" / "s3overlay")
        self.assertEqual((cache.stat().st_uid, stat.S_IMODE(cache.stat().st_mode)), (USER, 0o700))
        self.assertFalse(status["fuse"]["passthrough"]["on"])
        self.assertNotEqual(status["fuse"]["passthrough"]["reason"], "")
        sockets = list((self.runtime / "s3overlay").iterdir())
        self.assertEqual([stat.S_IMODE(s.stat().st_mode) for s in sockets], [0o600])
        self.assertTrue(stat.S_ISSOCK(sockets[0].stat().st_mode))
        stats = json.loads(self.s3overlay("cache", "stats", "--json", self.data).stdout)
        self.assertEqual(stats["owner"]["mountpoint"], str(self.data))

    def test_a_busy_mount_stays(self):
        holder = subprocess.Popen(
            ["sleep", "1000"], cwd="/", user=USER, group=USER, extra_groups=[],
            preexec_fn=lambda: os.chdir(self.data))
        busy = self.s3overlay("umount", self.data)
        holder.kill()
        holder.wait()
        self.assertEqual(busy.returncode, 5)
        self.assertIn(f"process {holder.pid} (sleep)", busy.stderr)

    def test_umount_ends_the_daemon_and_the_next_mount_has_the_cache(self):
        self.assertEqual(self.read("object"), self.object)
        pid = self.status()["pid"]
        self.wait_until(lambda: self.status()["cache"]["complete_objects"] == 1, "the object is not kept")
        unmounted = self.s3overlay("umount", self.data)
        self.assertEqual((unmounted.returncode, unmounted.stderr), (0, ""))
        self.assertFalse(is_mounted(self.data))
        self.assertFalse(is_running(pid))
        self.assertEqual(self.mount().returncode, 0)
        self.assertEqual(self.read("object"), self.object)
        self.assertEqual(self.status()["requests"]["gets"], 0)

    def test_root_sees_whose_mount_it_is_and_can_unmount_it(self):
        pid = self.status()["pid"]
        shown = subprocess.run([self.binary, "status", self.data], capture_output=True, timeout=LIMIT_S, check=False)
        self.assertEqual(shown.returncode, 5)  # Its socket is not where a user's usually is.
        self.assertIn(f"user {USER} mounted it", shown.stderr.decode())
        unmounted = subprocess.run([self.binary, "umount", self.data], timeout=LIMIT_S, check=False)
        self.assertEqual(unmounted.returncode, 0)
        self.wait_until(lambda: not is_running(pid), "the daemon does not end")

    def test_another_user_is_told_whose_mount_it_is(self):
        refused = subprocess.run(
            [self.binary, "umount", self.data], env=self.environment(), cwd="/", user=OTHER_USER, group=OTHER_USER,
            extra_groups=[], capture_output=True, timeout=LIMIT_S, check=False)
        self.assertEqual(refused.returncode, 7)
        self.assertIn(f"uid {USER}", refused.stderr.decode())
        self.assertTrue(is_mounted(self.data))

    def test_a_directory_of_another_user_is_refused_with_the_reason(self):
        other = self.scratch / "of-root"
        other.mkdir(exist_ok=True)
        refused = self.s3overlay("mount", f"s3://{self.bucket}/data", other, "--no-cache")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("no write access", refused.stderr)
        self.assertFalse(is_mounted(other))

    def test_sigterm_unmounts(self):
        pid = self.status()["pid"]
        os.kill(pid, signal.SIGTERM)
        self.wait_until(lambda: not is_running(pid), "the daemon does not end")
        self.assertFalse(is_mounted(self.data))

    def test_a_dead_mount_is_cleaned_up_by_the_next(self):
        pid = self.status()["pid"]
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: not is_running(pid), "the daemon does not end")
        again = self.mount()
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("has died", again.stderr)
        self.assertEqual(self.read("local"), b"local")

    def test_allow_other_needs_the_machines_leave(self):
        self.assertEqual(self.s3overlay("umount", self.data).returncode, 0)
        refused = self.mount("--allow-other")
        if refused.returncode == 0:
            self.skipTest("/etc/fuse.conf has user_allow_other")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("user_allow_other", refused.stderr)


if __name__ == "__main__":
    if "S3OVERLAY_TEST_ENDPOINT" not in os.environ:
        print("no S3 server: see scripts/s3-server.sh env")
        sys.exit(SKIPPED)
    let_go_of_others()
    unittest.main(verbosity=1)
