#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tests to docs/semantics.md: every row NN of its table has a test `Semantics, RowNN_…` in tests/mount, or stands
with its reason in tests/mount/pending_rows.txt ("NN why", a line each).

Usage: check_semantics.py [ROOT]       check the tree at ROOT (default: the one this script is in)
       check_semantics.py --self-test  plant faults in a copy and see that each one is found
"""
import pathlib
import re
import shutil
import sys
import tempfile

ROW = re.compile(r"^\| (\d\d) \|", re.MULTILINE)
TEST = re.compile(r"^TEST(?:_F)?\(Semantics, Row(\d\d)_\w+\)", re.MULTILINE)
PENDING = re.compile(r"^(\d\d)\s+(\S.*)$")


def read_pending(path):
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    entries = [PENDING.match(line) for line in lines if line.strip() and not line.startswith("#")]
    problems = [] if all(entries) else [f"{path.name}: a line is not of the form 'NN why'"]
    return {entry[1] for entry in entries if entry}, problems


def check(root):
    rows = ROW.findall((root / "docs/semantics.md").read_text(encoding="utf-8"))
    tests = root / "tests/mount"
    tested = {row for file in tests.glob("*.cc") for row in TEST.findall(file.read_text(encoding="utf-8"))}
    pending, problems = read_pending(tests / "pending_rows.txt")
    if not rows:
        problems.append("docs/semantics.md has no rows")
    problems += [f"row {row} stands twice in docs/semantics.md" for row in sorted(set(rows)) if rows.count(row) > 1]
    problems += [f"row {row} has no test and is not pending" for row in rows if row not in tested | pending]
    problems += [f"row {row} is pending and has a test" for row in sorted(pending & tested)]
    problems += [f"there is no row {row}, and a test or pending_rows.txt names it" for row in sorted((tested | pending) - set(rows))]
    return problems


def append(root, name, text):
    with open(root / name, "a", encoding="utf-8") as file:
        file.write(text)


def remove_tests(root, row):
    for file in (root / "tests/mount").glob("*.cc"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(f"Semantics, Row{row}_", f"Others, Row{row}_"), encoding="utf-8")


def self_test(root):
    faults = {
        "row 99 has no test": lambda copy: append(copy, "docs/semantics.md", "| 99 | planted | untested |\n"),
        "row 01 has no test": lambda copy: remove_tests(copy, "01"),
        "there is no row 98": lambda copy: append(copy, "tests/mount/planted.cc", "TEST(Semantics, Row98_Planted) {}\n"),
        "row 02 is pending and has a test": lambda copy: append(copy, "tests/mount/pending_rows.txt", "02 planted\n"),
        "a line is not of the form": lambda copy: append(copy, "tests/mount/pending_rows.txt", "97\n"),
    }
    for expected, plant in faults.items():
        with tempfile.TemporaryDirectory() as scratch:
            copy = pathlib.Path(scratch)
            for folder in ("docs", "tests/mount"):
                shutil.copytree(root / folder, copy / folder)
            plant(copy)
            found = check(copy)
            if not any(expected in problem for problem in found):
                print(f"check_semantics: planted, and not found: {expected}; found: {found}")
                return 1
    print(f"check_semantics: all {len(faults)} planted faults found")
    return 0


def main(arguments):
    root = pathlib.Path(__file__).resolve().parent.parent
    if arguments == ["--self-test"]:
        return self_test(root)
    if arguments:
        root = pathlib.Path(arguments[0])
    problems = check(root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
