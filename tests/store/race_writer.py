"""Commit `count` shards one by one, as one of several processes. Run as a script: `race_writer.py URL NAME COUNT`."""

import sys

import pyarrow as pa

from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put


def main(url: str, name: str, count: str) -> None:
    repo = Repository.open(url)
    for i in range(int(count)):
        put = Put("takes", repo.write_table(f"{name}/{i}", pa.table({"value": [i]}), work="ab" * 32))
        repo.commit(lambda _, put=put: [put], message=f"{name} {i}", provenance={"run": name})


if __name__ == "__main__":
    main(*sys.argv[1:])
