# SPDX-License-Identifier: Apache-2.0
"""The table's lines, and which machine and versions the figures belong to."""
import os
import pathlib
import platform
import re
import subprocess

VERSIONS = {
    "s3overlay": ["{build}/s3overlay", "--version"],
    "nginx": ["nginx", "-v"],
    "radosgw": ["radosgw", "--version"],
    "rclone": ["rclone", "version"],
    "s3fs": ["s3fs", "--version"],
    "curl": ["curl", "--version"],
}


def line_of(result):
    verdict = {None: "", True: "met", False: "MISSED"}[result.is_met]
    details = "  ".join(f"{name} {format_number(value)}" for name, value in result.details.items())
    return f"{result.what:68} {format_number(result.value):>9} {result.unit:11} {result.target:8} {verdict:7} {details}"


def format_number(value):
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def machine(build):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return {
        "kernel": platform.release(),
        "system": first_line(["sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"]),
        "processor": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / (1 << 20), 1),
        "load_average": os.getloadavg()[0],
        "versions": {name: first_line([part.format(build=build) for part in command]) for name, command in VERSIONS.items()},
    }


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    return (done.stdout + done.stderr).strip().split("\n")[0]
