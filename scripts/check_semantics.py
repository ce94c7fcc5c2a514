#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tests to docs/semantics.md, sentence by sentence:

- every row NN of its table has as many tests `Semantics, RowNN_…` as its answer has sentences, or stands with its reason in
  tests/mount/pending_rows.txt ("NN why", a line each);
- every line ENN of the table of errnos has a test `Errno, ENN_…`;
- every sentence outside the tables names its tests in brackets: a row, the number of a test in tests/fault (`X07_…`), or the
  name of any test; and every test with a number is named somewhere.

Usage: check_semantics.py [ROOT]       check the tree at ROOT (default: the one this script is in)
       check_semantics.py --self-test  plant faults in a copy and see that each one is found
"""
import pathlib
import re
import shutil
import sys
import tempfile

ROW = re.compile(r"^\| (\d\d) \|[^|]*\|(.*)\|$", re.MULTILINE)
LINE = re.compile(r"^\| (E\d\d) \|", re.MULTILINE)
TEST = re.compile(r"^TEST(?:_F|_P)?\(\w+,\s*(\w+)\)", re.MULTILINE)
ROW_TEST = re.compile(r"^TEST(?:_F)?\(Semantics, Row(\d\d)_\w+\)", re.MULTILINE)
NUMBER = re.compile(r"(?:^|_)([A-Z]\d\d)(?=_)")
PENDING = re.compile(r"^(\d\d)\s+(\S.*)$")
MARK = re.compile(r"\[([^\]]+)\]")
ABOUT_THE_PAGE = "Brackets name the tests"  # How this paragraph begins: it says nothing of the mount.


def read(path):
    return path.read_text(encoding="utf-8")


def read_pending(path):
    lines = read(path).splitlines() if path.exists() else []
    entries = [PENDING.match(line) for line in lines if line.strip() and not line.startswith("#")]
    problems = [] if all(entries) else [f"{path.name}: a line is not of the form 'NN why'"]
    return {entry[1] for entry in entries if entry}, problems


def sentences(paragraph):
    """Each with the marks that follow it: `It is so. [X01]` is one."""
    text = re.sub(r"`[^`]*`", "`", " ".join(paragraph.split()))
    ends = [match.end() for match in re.finditer(r"[.!?](?= |$)( \[[^\]]+\])*", text)]
    return [text[begin:end].strip() for begin, end in zip([0] + ends, ends)]


def count_sentences(answer):
    return max(1, len(re.findall(r"[.!?](?= |$)", re.sub(r"`[^`]*`", "`", answer.strip()))))


def check_rows(root, document):
    rows = ROW.findall(document)
    tested = [row for file in (root / "tests/mount").glob("*.cc") for row in ROW_TEST.findall(read(file))]
    pending, problems = read_pending(root / "tests/mount/pending_rows.txt")
    numbers = [row for row, _ in rows]
    if not rows:
        problems.append("docs/semantics.md has no rows")
    problems += [f"row {row} stands twice in docs/semantics.md" for row in sorted(set(numbers)) if numbers.count(row) > 1]
    problems += [f"row {row} has no test and is not pending" for row in numbers if row not in {*tested, *pending}]
    problems += [
        f"row {row} has more sentences than tests"
        for row, answer in rows
        if 0 < tested.count(row) < count_sentences(answer)
    ]
    problems += [f"row {row} is pending and has a test" for row in sorted(pending & set(tested))]
    problems += [
        f"there is no row {row}, and a test or pending_rows.txt names it"
        for row in sorted({*tested, *pending} - set(numbers))
    ]
    return problems


def check_sentences(root, document):
    names = {name for file in (root / "tests").rglob("*.cc") for name in TEST.findall(read(file))}
    numbers = {
        number for file in (root / "tests/fault").glob("*.cc") for name in TEST.findall(read(file)) for number in NUMBER.findall(name)
    }
    known = names | numbers | {row for row, _ in ROW.findall(document)}
    lines = set(LINE.findall(document))
    problems = [f"line {line} has no test" for line in sorted(lines - numbers)]
    named = set(lines)
    for paragraph in re.split(r"\n\s*\n", document):
        if paragraph.startswith(("#", "|", ABOUT_THE_PAGE)):
            continue
        for sentence in sentences(paragraph):
            marks = {mark.strip() for marks in MARK.findall(sentence) for mark in marks.split(",")}
            named |= marks
            if not marks:
                problems.append(f"no test is named for: {sentence}")
            problems += [f"there is no test {mark}" for mark in sorted(marks - known)]
    problems += [f"docs/semantics.md does not name the test {number}" for number in sorted(numbers - named)]
    return problems


def check(root):
    document = read(root / "docs/semantics.md")
    return check_rows(root, document) + check_sentences(root, document)


def append(root, name, text):
    with open(root / name, "a", encoding="utf-8") as file:
        file.write(text)


def replace(root, name, old, new):
    text = read(root / name)
    (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")


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
        "row 01 has more sentences": lambda copy: replace(copy, "docs/semantics.md", "state `fresh`. |", "so. So. So. So. |"),
        "no test is named for: It is so.": lambda copy: append(copy, "docs/semantics.md", "\nIt is so. It is not. [01]\n"),
        "there is no test X98": lambda copy: append(copy, "docs/semantics.md", "\nIt is so. [X98]\n"),
        "line E98 has no test": lambda copy: append(copy, "docs/semantics.md", "| E98 | `EPERM` | Planted. |\n"),
        "does not name the test X97": lambda copy: append(copy, "tests/fault/planted.cc", "TEST(Fault, X97_Planted) {}\n"),
        "a line is not of the form": lambda copy: append(copy, "tests/mount/pending_rows.txt", "97\n"),
    }
    for expected, plant in faults.items():
        with tempfile.TemporaryDirectory() as scratch:
            copy = pathlib.Path(scratch)
            for folder in ("docs", "tests"):
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
