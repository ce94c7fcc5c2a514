#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the rooms to their arrows: reads every #include below src/ and include/ and fails on one that is not allowed.

A room may include the base contracts, the contracts on its line in ROOMS, and its own headers. Each third-party library
has one home. app/ composes and may include every room; cli/ and main.cc see what is listed for them.

Usage: check_layers.py [ROOT]       check the tree at ROOT (default: the one this script is in)
       check_layers.py --self-test  plant violations in a copy and see that each one is found
"""
import pathlib
import re
import shutil
import sys
import tempfile

BASE_CONTRACTS = {
    "byte_chain", "byte_range", "call_context", "clock", "hash", "log", "metrics", "mutex", "redact", "result",
    "shared_bytes", "status_source", "thread_pool", "unique_fd"
}

# room: (contracts beside the base ones, rooms whose headers it may include)
ROOMS = {
    "base": ({"credentials", "file_source", "http_transport", "object_catalog", "object_store"}, set()),
    "http": ({"http_transport"}, set()),
    "credentials": ({"credentials", "http_transport"}, set()),
    "s3": ({"object_store", "credentials", "http_transport"}, set()),
    "cache": ({"block_cache", "file_source", "metadata_store", "object_catalog", "object_store"}, set()),
    "remote": ({"file_source", "metadata_store", "object_catalog", "object_store", "block_cache"}, set()),
    "local": ({"file_source"}, set()),
    "overlay": ({"file_source"}, set()),
    "fuse": ({"file_source"}, set()),
    "control": ({"control", "block_cache", "file_source"}, set()),
    # Options of every room are what config makes out of text.
    "config": (None, {"http", "credentials", "s3", "cache", "remote", "local", "overlay", "fuse", "control"}),
    "app": (None, {"http", "credentials", "s3", "cache", "remote", "local", "overlay", "fuse", "control", "config"}),
    "cli": (None, {"app", "config", "control"}),
    "main.cc": (set(), {"cli"}),
}

# What a third-party header's name starts with: the rooms (or single files) that may include it.
LIBRARIES = {
    "fuse_lowlevel.h": {"fuse"},
    "fuse.h": {"fuse"},
    "fuse3/": {"fuse"},
    "curl/": {"http"},
    "openssl/": {"s3/request_signer", "cache", "credentials"},
    "sqlite3.h": {"cache"},
    "pugixml.hpp": {"s3/xml_text"},
    "nlohmann/": {"cli", "control", "credentials"},
    "toml++/": {"config"},
    "CLI/": {"cli", "config"},
    "xxhash.h": {"base/hash"},
    "spdlog/": {"base/log"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def library_violation(place, header):
    for start, homes in LIBRARIES.items():
        if header.startswith(start) and not any(place == home or place.startswith((home + "/", home + ".")) for home in homes):
            return f"{header} has its home in {', '.join(sorted(homes))}"
    return None


def own_violation(room, header):
    contracts, rooms = ROOMS[room]
    top, _, rest = header.partition("/")
    if top == "s3overlay":
        name = rest.removesuffix(".h")
        if contracts is None or name in BASE_CONTRACTS or name in contracts:
            return None
        return f"the contract {name} is not on the line of {room}"
    if top == room or top in rooms:
        return None
    if top in ROOMS:
        return f"{room} may not know {top}"
    return None


def check_file(root, path):
    place = path.relative_to(root / "src").as_posix() if path.is_relative_to(root / "src") else ""
    room = place.split("/")[0]
    for bracket, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
        if not place:  # A contract: contracts only, and fmt for the log.
            if bracket == '"' and not header.startswith("s3overlay/"):
                yield f"{path.relative_to(root)}: a contract includes {header}"
            problem = library_violation("include", header)
        elif room not in ROOMS:
            yield f"{path.relative_to(root)}: {room} is no room that {pathlib.Path(__file__).name} knows"
            return
        else:
            problem = library_violation(place, header) or (own_violation(room, header) if bracket == '"' else None)
        if problem:
            yield f"{path.relative_to(root)}: includes {header}: {problem}"


def check(root):
    files = [f for folder in ("src", "include") for f in sorted((root / folder).rglob("*")) if f.suffix in (".h", ".cc")]
    return [violation for file in files for violation in check_file(root, file)]


def self_test(root):
    planted = {
        "src/fuse/planted.cc": '#include "s3/s3_store.h"\n',
        "src/overlay/planted.cc": '#include "s3overlay/object_store.h"\n',
        "src/remote/planted.cc": "#include <curl/curl.h>\n",
        "src/s3/planted.cc": "#include <pugixml.hpp>\n",
        "src/cli/planted.cc": '#include "remote/object_source.h"\n',
        "src/attic/planted.cc": "#include <vector>\n",
        "include/s3overlay/planted.h": '#include "cache/disk_block_cache.h"\n',
    }
    for name, text in planted.items():
        with tempfile.TemporaryDirectory() as scratch:
            copy = pathlib.Path(scratch)
            for folder in ("src", "include"):
                shutil.copytree(root / folder, copy / folder)
            (copy / name).parent.mkdir(exist_ok=True)
            (copy / name).write_text(text)
            found = [v for v in check(copy) if v.startswith(name)]
            if len(found) != 1:
                print(f"check_layers: the violation planted in {name} was not found")
                return 1
    print(f"check_layers: all {len(planted)} planted violations found")
    return 0


def main(arguments):
    root = pathlib.Path(__file__).resolve().parent.parent
    if arguments == ["--self-test"]:
        return self_test(root)
    if arguments:
        root = pathlib.Path(arguments[0])
    violations = check(root)
    for violation in violations:
        print(violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
