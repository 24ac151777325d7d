"""A program that writes records until it is killed, again and again: `python -m tests.edge.sinks.writer`.

Each line of its input is an order: kind of sink, path, mark, and the number of the first record, as a JSON list. For
each it starts a process that writes from there on. That prints `process` and its id, then, before each batch, the
number of the next record and the sink's mark; `end` follows when it is dead.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import NoReturn

from splitnet.edge.daemon.record import Record
from splitnet.edge.sinks.contract import Sink
from splitnet.edge.sinks.folder import Folder
from splitnet.edge.sinks.json_lines import JsonLines
from splitnet.edge.sinks.sqlite import Sqlite
from tests.edge.sinks.records import make_record

KINDS: dict[str, type[JsonLines] | type[Folder] | type[Sqlite]] = {
    "jsonl": JsonLines,
    "folder": Folder,
    "sqlite": Sqlite,
}


def large_record(number: int) -> Record:
    """Now and then one that takes long enough to be killed in the middle of it."""
    return make_record(number, error="x" * (300_000 if number % 5 == 0 else 50))


def write_for_ever(sink: Sink, mark: str, number: int) -> NoReturn:
    """Write as the daemon does: what `resume` knows is noted as done before anything else is written."""
    known = set(sink.resume(mark))
    while large_record(number).id in known:
        number += 1
    sizes = random.Random(number)
    while True:
        os.write(1, f"{number} {sink.mark}\n".encode())
        after = number + sizes.randint(1, 4)
        sink.write([large_record(one) for one in range(number, after)])
        number = after


def main() -> None:
    """Fork, as a new interpreter for each of dozens of processes would take too long."""
    for line in sys.stdin:
        kind, path, mark, number = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                os.write(1, f"process {os.getpid()}\n".encode())
                write_for_ever(KINDS[kind](Path(path)), mark, number)
            finally:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        os.waitpid(child, 0)
        print("end", flush=True)


if __name__ == "__main__":
    main()
