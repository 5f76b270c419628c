"""`segpipe forget`, killed at each step that touches the disk; what readers see then, and what the
next command makes of it.

    python -m tests.cli.killed_forget FOLDER [POINTS]

In a process of its own: it forks, and a process in which torch has computed must not.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from segpipe.cli import main
from segpipe.store import open_dataset
from segpipe.verify import verify
from tests.pipeline.test_identity import clip, photo, run
from tests.torture.kills import _copy, _forked, killing_at, rows_of


def killed_forget(folder: Path, points: int = 1000) -> dict[str, object]:
    """How many steps there were, and what went wrong after which."""
    card, begin, end, out = (folder / name for name in ("card", "begin", "end", "out"))
    for name in ("0001.mp4", "0002.mp4"):
        clip(card / name)
    photo(card / "DCIM" / "1.jpg", 1)
    _forked(lambda: run(card, out=begin, store={"frames_per_shard": 5}))
    (source,) = (
        r.source.source_id
        for r in open_dataset(begin).records()
        if r.source.uri.endswith("1.mp4") and r.start == 0
    )
    shutil.rmtree(card)  # so that no run does again what was forgotten
    _copy(begin, end)
    counter = folder / "steps"
    assert _forked(lambda: counted(end, source, counter)) == 0
    steps, states, wrong = int(counter.read_text()), Counter[str](), list[str]()
    whole, gone = seen_by_another(begin), seen_by_another(end)
    for step in chosen(steps, points):
        _copy(begin, out)
        killed = _forked(lambda step=step: kill(out, source, step))  # type: ignore[misc]
        if killed != -signal.SIGKILL:
            wrong.append(f"step {step}: ended with {killed}")
        seen = seen_by_another(out)
        state = "whole" if seen == whole else "gone" if seen == gone else "half"
        states[state] += 1
        finish = FINISH[step % len(FINISH)]
        code = _forked(lambda finish=finish: finish(card, out, source))  # type: ignore[misc]
        expected = begin if state == "whole" and finish is not forgotten_again else end
        left = [str(p) for p in out.rglob("*.tmp")] + [str(p) for p in out.glob("forget.json")]
        if code or left or rows_of(out) != rows_of(expected) or state == "half":
            wrong.append(f"step {step}: {state}, then {finish.__name__} gave {code}, left {left}")
    return {"steps": steps, "states": states, "wrong": wrong}


def chosen(steps: int, points: int) -> list[int]:
    """So many of the steps, the first and the last ones among them: there the state changes."""
    ends = {1, 2, 3, 4, 5, steps - 2, steps - 1, steps}
    return sorted(ends | {1 + i * steps // points for i in range(points)} & {*range(1, steps + 1)})


def counted(out: Path, source: str, counter: Path) -> None:
    with killing_at(0) as count:
        assert main(["forget", str(out), source]) == 0
    counter.write_text(str(count[0]))


def kill(out: Path, source: str, step: int) -> None:
    with killing_at(step):
        main(["forget", str(out), source])


def seen_by_another(out: Path) -> str:
    """What the Python API, SQL and `verify` see, in a process of its own: threads of a reader
    mustn't be there when this one forks."""
    said = out.with_name("seen")
    assert _forked(lambda: said.write_text(repr(seen_in(out)))) == 0
    return said.read_text()


def seen_in(out: Path) -> list[object]:
    dataset = open_dataset(out)
    tables = ("frames", "class_stats", "masks", "sources")
    sql = dataset.duckdb()
    counts = [sql.sql(f"SELECT count(*) FROM {t}").fetchall() for t in (*tables, "addresses")]
    found = [dataset.arrow(t, ["source_id"])["source_id"].to_pylist() for t in tables]
    names = [r.name for r in dataset.records()]
    wrong = [f for f in verify(out).findings if f.is_wrong and f.kind != "leftover"]
    orphans = [f for f in wrong if f.kind != "orphan"]
    return [counts, found, names, orphans]


def forgotten_again(card: Path, out: Path, source: str) -> None:
    """The same command again; where all had gone but the last word, it finds nothing."""
    gone = source not in sources(out)
    marked = (out / "forget.json").exists()
    assert main(["forget", str(out), source]) == (5 if gone and not marked else 0)


def run_again(card: Path, out: Path, source: str) -> None:
    run(card, out=out, store={"frames_per_shard": 5})


def repaired(card: Path, out: Path, source: str) -> None:
    assert main(["verify", str(out), "--repair", "-q"]) == 0


FINISH: tuple[Callable[[Path, Path, str], None], ...] = (forgotten_again, run_again, repaired)


def sources(out: Path) -> set[str]:
    return {r.source.source_id for r in open_dataset(out).records()}


if __name__ == "__main__":
    print(json.dumps(killed_forget(Path(sys.argv[1]), *map(int, sys.argv[2:]))))
