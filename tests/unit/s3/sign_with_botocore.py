#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signs GETs as botocore does, as a second opinion on src/s3/request_signer.

Standard input: one key a line, in hexadecimal. Output, a line each: URL <TAB> signature, for the bucket 'bucket' at
http://127.0.0.1:9000 by path, at 20240229T235959Z in eu-west-1 with the credentials below. Exit 77: no botocore here.
"""
import datetime
import sys

try:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from botocore.utils import percent_encode
except ImportError:
    sys.exit(77)

MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 59, tzinfo=datetime.timezone.utc)


def freeze_time():
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: MOMENT.replace(tzinfo=None)

    class Frozen(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return MOMENT.replace(tzinfo=None)

    class Module:
        datetime = Frozen

    botocore.auth.datetime = Module


def sign(key):
    url = "http://127.0.0.1:9000/bucket/" + percent_encode(key, safe="/~")
    request = AWSRequest("GET", url, headers={"Range": "bytes=0-99", "If-Match": '"abc-1"'}, params={"versionId": "v+/ 1"})
    request.context["payload_signing_enabled"] = True
    auth = botocore.auth.S3SigV4Auth(Credentials("AKIDODDKEYS", "secret/+=", "token=="), "s3", "eu-west-1")
    auth.add_auth(request)
    return url, request.headers["Authorization"].rpartition("Signature=")[2]


freeze_time()
for line in sys.stdin:
    print("\t".join(sign(bytes.fromhex(line.strip()))))
