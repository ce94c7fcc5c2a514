#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stage of a training pipeline: reads the datasets of a manifest, line by line, and assembles them into one file.

Usage: assemble.py MANIFEST ROOT OUTPUT

MANIFEST is JSON, {"datasets": [{"name": …, "path": …, "source": …}]}; each path is below ROOT and names a JSONL file.
OUTPUT gets every record in the order of the manifest, with the name and the source of its dataset. The summary on
standard output says how many records each dataset gave, and the SHA-256 of its bytes. A dataset that cannot be read, or
a line that is no JSON object, ends the stage with exit code 1 and leaves no OUTPUT.

It knows files and nothing else.
"""
import hashlib
import json
import os
import sys


class StageError(Exception):
    pass


def read_manifest(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["datasets"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"manifest {path}: {error}") from error


def parse_record(line, where):
    try:
        record = json.loads(line)
    except ValueError as error:
        raise StageError(f"{where}: {error}") from error
    if not isinstance(record, dict):
        raise StageError(f"{where}: not a JSON object")
    return record


def copy_dataset(dataset, root, output):
    """Streams one dataset into `output`; how many records it had, and its digest."""
    path = os.path.join(root, dataset["path"])
    digest = hashlib.sha256()
    records = 0
    with open(path, "rb") as lines:
        for records, line in enumerate(lines, start=1):
            digest.update(line)
            record = parse_record(line, f"{path}:{records}")
            record["_dataset"], record["_source"] = dataset["name"], dataset["source"]
            output.write(json.dumps(record, sort_keys=True) + "\n")
    return {"name": dataset["name"], "records": records, "sha256": digest.hexdigest()}


def assemble(manifest, root, output_path):
    partial = output_path + ".partial"
    summary = []
    try:
        with open(partial, "w", encoding="utf-8") as output:
            for dataset in read_manifest(manifest):
                try:
                    summary.append(copy_dataset(dataset, root, output))
                except OSError as error:
                    raise StageError(f"dataset {dataset['name']}: {error}") from error
        os.replace(partial, output_path)
    except BaseException:
        if os.path.exists(partial):
            os.unlink(partial)
        raise
    return summary


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        json.dump(assemble(*arguments), sys.stdout, indent=2)
        print()
    except StageError as error:
        print(f"assemble: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
