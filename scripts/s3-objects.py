#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Puts objects into an S3 store and takes them out, for the demonstration and for tests.

Usage: s3-objects.py make-bucket BUCKET
       s3-objects.py put BUCKET KEY FILE      (FILE may be - for standard input)
       s3-objects.py delete BUCKET KEY
       s3-objects.py upload BUCKET PREFIX DIR (every file below DIR, by its path)

Endpoint and credentials come from AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""
import os
import sys

import boto3
from botocore.config import Config


def client():
    return boto3.client(
        "s3",
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),
        region_name=os.environ.get("AWS_REGION", "us-east-1"),
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}),
    )


def upload(s3, bucket, prefix, root):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            key = os.path.join(prefix, os.path.relpath(path, root))
            with open(path, "rb") as body:
                s3.put_object(Bucket=bucket, Key=key, Body=body)


def main(arguments):
    commands = {
        ("make-bucket", 1): lambda s3, bucket: s3.create_bucket(Bucket=bucket),
        ("put", 3): lambda s3, bucket, key, file: s3.put_object(
            Bucket=bucket, Key=key, Body=(sys.stdin.buffer.read() if file == "-" else open(file, "rb").read())
        ),
        ("delete", 2): lambda s3, bucket, key: s3.delete_object(Bucket=bucket, Key=key),
        ("upload", 3): upload,
    }
    command = commands.get((arguments[0] if arguments else "", len(arguments) - 1))
    if command is None:
        print(__doc__, file=sys.stderr)
        return 2
    command(client(), *arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
