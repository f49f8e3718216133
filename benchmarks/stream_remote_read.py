"""Contender: this project's stream from the local store, or from S3 through a cache of the whole or a quarter of it."""

from __future__ import annotations

from collections.abc import Iterator

from epochs import BATCH, Rows, measure, parse
from harness import emit
from stream_ours import rows_of

from sensorloom.store.cache import ShardCache
from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream

# With as many shards ahead as in a block, this many must fit in a quarter of 64 with what is let go only later.
BLOCK_SHARDS = 4


def main() -> None:
    arguments = parse(__doc__, "--url", "--bytes", "--how")
    is_whole = arguments.how != "quarter"
    size = int(arguments.bytes)
    stream = TripletStream(
        str(arguments.data) if arguments.how == "local" else arguments.url,
        view="generated",
        split="train",
        batch_size=BATCH,
        columns=("imu", "video", "text"),
        shuffle="global" if is_whole else "block",
        last="keep",
        rules=BatchRules(block_shards=BLOCK_SHARDS),
        cache=ShardCache(arguments.work / "cache", 2 * size if is_whole else size // 4),
        threads=arguments.threads,
    )

    def epoch() -> Iterator[Rows]:
        for batch in stream:
            yield rows_of(batch)

    emit(measure(epoch, stream.num_examples, later=4 if is_whole else 1))


if __name__ == "__main__":
    main()
