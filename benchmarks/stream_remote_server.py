"""Serve a store over S3 behind a slow link until standard input ends; print how to reach it as one JSON object."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import sys
from pathlib import Path
from types import ModuleType

import boto3
from harness import FOLDER
from moto.server import ThreadedMotoServer

BUCKET = "generated"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--link", type=float, required=True)
    parser.add_argument("--latency", type=float, required=True)
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it says a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ |= environment
    _upload(arguments.store)
    link = _links().FaultyServer(
        environment["AWS_ENDPOINT_URL"], delay_s=arguments.latency / 1e3, bytes_per_s=1e6 * arguments.link
    )
    environment["AWS_ENDPOINT_URL"] = link.url
    print(json.dumps({"url": f"s3://{BUCKET}/store", "environment": environment}), flush=True)
    sys.stdin.read()
    link.close()
    server.stop()


def _upload(store: Path) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    for path in sorted(store.rglob("*")):
        if path.is_file():
            client.put_object(
                Bucket=BUCKET, Key=f"store/{path.relative_to(store).as_posix()}", Body=path.read_bytes()
            )


def _links() -> ModuleType:
    """Return the module of the server with a slow link, which the tests use too."""
    path = FOLDER.parent / "tests" / "store" / "faulty_server.py"
    spec = importlib.util.spec_from_file_location("faulty_server", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module at {path}")
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its own module up.
    sys.modules["faulty_server"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
