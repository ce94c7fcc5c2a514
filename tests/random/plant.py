#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the random run can see: plants a bug in a copy of the sources, and wants the run to go red.

Usage: plant.py [--work DIR] [--seed N] NAME...     plant each of these (see plants/), one at a time
       plant.py [--work DIR] --all                  every one of them
       plant.py --check                             only see that every plant still applies

Needs the test server in the environment (scripts/s3-server.sh env). The copy and its build stay in DIR (default:
build-plants below the sources), so that each plant compiles little. Exit code 0 when every plant was seen.

A plant is a file: what it breaks, a line "seconds: N" (how long the run may take to see it), a line "finds: REGEX" (what
it has to say then), and edits, each one "--- FILE", the text that stands there exactly once, "=== ", and the text that
takes its place.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EDIT = re.compile(r"^--- (\S+)\n(.*?)\n=== ?\n(.*?)(?=^--- |\Z)", re.MULTILINE | re.DOTALL)
RED = "again with S3OVERLAY_TEST_RANDOM_SEED"  # What the run says when it found something.


class Failure(Exception):
    pass


class Plant:
    def __init__(self, name):
        path = HERE / "plants" / f"{name}.plant"
        if not path.exists():
            raise Failure(f"{name}: there is no {path.relative_to(ROOT)}")
        head, _, edits = path.read_text().partition("\n--- ")
        facts = dict(re.findall(r"^(seconds|finds): (.+)$", head, re.MULTILINE))
        if len(facts) != 2:
            raise Failure(f"{name}: it must say how many seconds it takes, and what is found")
        self.name = name
        self.seconds = int(facts["seconds"])
        self.finds = re.compile(facts["finds"])
        self.edits = EDIT.findall("--- " + edits)
        if not self.edits:
            raise Failure(f"{name}: no edits in it")

    def texts(self):
        """The files that it changes, with their new texts."""
        texts = {}
        for file, old, new in self.edits:
            text = texts.get(file) or (ROOT / file).read_text()
            if text.count(old) != 1:
                raise Failure(f"{self.name} no longer applies: in {file}, this stands {text.count(old)} times:\n{old}")
            texts[file] = text.replace(old, new.removesuffix("\n"))
        return texts


def copy_sources(work):
    """Only what changed is written, so that the build stays warm."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True,
                           text=True).stdout.split("\n")
    for name in filter(None, names):
        source = ROOT / name
        if source.is_file():
            write_if_changed(work / name, source.read_bytes(), source.stat().st_mode)


def write_if_changed(path, content, mode=0o644):
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode & 0o777)


def build(work):
    tree = work / "build"
    if not (tree / "build.ninja").exists():
        run(["cmake", "-S", work, "-B", tree, "-G", "Ninja", "-DCMAKE_CXX_COMPILER=g++"])
    run(["cmake", "--build", tree, "--target", "random_run_test"])


def run(command):
    environment = dict(os.environ, CCACHE_BASEDIR=os.environ.get("CCACHE_BASEDIR", str(ROOT)), CCACHE_NOHASHDIR="1")
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}:\n{(done.stdout + done.stderr)[-6000:]}")


def run_planted(plant, work, seed):
    environment = dict(os.environ, S3OVERLAY_TEST_RANDOM_SECONDS=str(plant.seconds))
    if seed:
        environment["S3OVERLAY_TEST_RANDOM_SEED"] = str(seed)
    start = time.monotonic()
    done = subprocess.run([work / "build/tests/random/random_run_test"], capture_output=True, text=True, env=environment)
    output = done.stdout + done.stderr
    (work / f"{plant.name}.log").write_text(output)
    if "SKIPPED" in output:
        raise Failure("the run was skipped: no S3 server in the environment")
    if done.returncode == 0 or RED not in output:
        raise Failure(f"{plant.name} was NOT seen in {plant.seconds} s; the run's output is in {work}/{plant.name}.log")
    finding = first_finding(output)
    if not plant.finds.search(finding):
        raise Failure(f"{plant.name}: something else was found, see {work}/{plant.name}.log: {finding}")
    return time.monotonic() - start, finding


def first_finding(output):
    lines = output.split(RED, 1)[1].splitlines()
    return next((line for line in lines[1:] if line.strip()), "")


def prove(plant, work, seed):
    copy_sources(work)
    for file, text in plant.texts().items():
        write_if_changed(work / file, text.encode())
    build(work)
    seconds, finding = run_planted(plant, work, seed)
    print(f"{plant.name}: red after {seconds:.0f} s: {finding[:300]}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build-plants")
    arguments = parser.parse_args()
    everything = arguments.all or arguments.check
    names = sorted(path.stem for path in (HERE / "plants").glob("*.plant")) if everything else arguments.names
    if not names:
        parser.error("which plant?")
    failures = 0
    for name in names:
        try:
            plant = Plant(name)
            if arguments.check:
                plant.texts()
            else:
                prove(plant, arguments.work.resolve(), arguments.seed)
        except Failure as failure:
            failures += 1
            print(f"plant: {failure}", file=sys.stderr, flush=True)
    print(f"{len(names) - failures} of {len(names)} plants {'apply' if arguments.check else 'were seen'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
