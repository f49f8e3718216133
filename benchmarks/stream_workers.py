"""Contender: this project's stream in two worker processes of torch's DataLoader, where it needs none."""

from __future__ import annotations

from collections.abc import Iterator

from epochs import Rows, measure, parse
from harness import emit
from stream_ours import open_stream, rows_of
from torch.utils.data import DataLoader

WORKERS = 2


def main() -> None:
    arguments = parse(__doc__)
    stream = open_stream(str(arguments.data / "store"), seed=1, threads=1)
    # `spawn`: a process that has threads, as one with torch and a stream has, had better not fork.
    loader = DataLoader(
        stream, batch_size=None, num_workers=WORKERS, multiprocessing_context="spawn", persistent_workers=True
    )

    def epoch() -> Iterator[Rows]:
        for batch in loader:
            yield rows_of(batch)

    emit(measure(epoch, stream.num_examples, later=2))


if __name__ == "__main__":
    main()
