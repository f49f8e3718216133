"""What torchrun starts: open the stream before there is a process group, read an epoch, write it to `OUT/<rank>.json`.

Usage: `torchrun_rank.py STORE OUT`.
"""

import json
import sys
from pathlib import Path

import torch
from torch import distributed

from sensorloom.training.stream import TripletStream

if __name__ == "__main__":
    store, out = sys.argv[1:]
    stream = TripletStream(store, view="tiny", split="train", batch_size=8)
    distributed.init_process_group("gloo")
    later = TripletStream(store, view="tiny", split="train", batch_size=8)
    shares = [batch.index_B.tolist() for batch in stream]
    seen = torch.tensor(sum(map(len, shares)))
    distributed.all_reduce(seen)
    report = {
        "shares": shares,
        "same": [batch.index_B.tolist() for batch in later] == shares,
        "seen": int(seen),
    }
    (Path(out) / f"{distributed.get_rank()}.json").write_text(json.dumps(report))
    distributed.destroy_process_group()
