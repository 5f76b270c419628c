"""An S3 server of one's own on the loopback interface, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import boto3

from tests.clock import HANG_S

KEY, SECRET, BUCKET = "AKIDKEYOFTESTS", "s3cr3t/With+Signs", "footage"


def environment(url: str) -> dict[str, str]:
    """What a run needs to know of the server. Without the last one, credentials that are missing
    are asked of the network."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class S3:
    """The server, seen from the side of a test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """All objects below a prefix by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [o["Key"] for page in pages for o in page.get("Contents", [])]
        return {k: self.client.get_object(Bucket=BUCKET, Key=k)["Body"].read() for k in keys}

    def clear(self) -> None:
        for key in self.objects():
            self.client.delete_object(Bucket=BUCKET, Key=key)

    def put(self, key: str, text: str) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def check_keys(self, on: bool) -> None:
        """Whether the server looks at credentials: it knows no user, and then refuses all."""
        data = b"0" if on else b"inf"
        request = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth", data, {"Content-Type": "text/plain"}, method="POST"
        )
        urllib.request.urlopen(request).read()


@contextlib.contextmanager
def running() -> Iterator[S3]:
    """A server with an empty bucket."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + HANG_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < until, "the server doesn't come up"
                time.sleep(0.1)
        s3 = S3(f"http://127.0.0.1:{port}")
        s3.client.create_bucket(Bucket=BUCKET)
        yield s3
    finally:
        server.kill()
        server.wait()
