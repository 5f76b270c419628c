"""The fingerprint: a few blocks tell files apart, whatever their length."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from segpipe.sources import fingerprint as module
from segpipe.sources.fingerprint import (
    BLOCK_BYTES,
    BLOCKS,
    fingerprint,
    goes_by_path,
    path_key,
    whole_digest,
)

SMALL, LARGE = BLOCKS * BLOCK_BYTES, 10_000_019


def noise(size: int, seed: int = 0) -> bytearray:
    return bytearray(np.random.default_rng(seed).bytes(size))


def of(path: Path, content: bytes) -> tuple[str, str]:
    path.write_bytes(content)
    found = fingerprint(path, len(content))
    return found.key, found.body


def test_it_is_a_digest_of_size_and_blocks(tmp_path: Path) -> None:
    content = noise(LARGE)
    last = LARGE - BLOCK_BYTES
    blocks = [content[last * i // 7 :][:BLOCK_BYTES] for i in range(8)]
    key = hashlib.blake2b(LARGE.to_bytes(8, "big") + b"".join(blocks), digest_size=10)
    body = hashlib.blake2b(b"".join(blocks[1:]), digest_size=10)
    assert of(tmp_path / "a.mp4", content) == (key.hexdigest(), body.hexdigest())


@pytest.mark.parametrize("size", [1, 7, 8, 1000, SMALL - 1, SMALL])
def test_a_small_file_is_read_whole(size: int, tmp_path: Path) -> None:
    content = noise(size)
    before = of(tmp_path / "a.jpg", content)
    for place in {0, size // 3, size // 2, size - 1}:
        content[place] ^= 1
        assert of(tmp_path / "a.jpg", content)[0] != before[0]
        content[place] ^= 1
    assert of(tmp_path / "b.jpg", content) == before  # wherever it lies, whatever it is called


@pytest.mark.parametrize("number", range(BLOCKS))
def test_a_byte_in_a_block_tells_and_one_between_them_does_not(number: int, tmp_path: Path) -> None:
    content = noise(LARGE)
    before = of(tmp_path / "a.mp4", content)
    start = (LARGE - BLOCK_BYTES) * number // (BLOCKS - 1)
    for place in (start, start + BLOCK_BYTES - 1):
        content[place] ^= 1
        key, body = of(tmp_path / "a.mp4", content)
        assert (key != before[0], body != before[1]) == (True, number > 0)
        content[place] ^= 1
    if number:
        content[start - 1] ^= 1
        assert of(tmp_path / "a.mp4", content) == before
        other = tmp_path / "b.mp4"
        content[start - 1] ^= 1
        other.write_bytes(content)
        assert whole_digest(tmp_path / "a.mp4") != whole_digest(other)


def test_the_size_tells_where_the_blocks_are_the_same(tmp_path: Path) -> None:
    first, second = (of(tmp_path / "a.mp4", bytes(size)) for size in (LARGE, LARGE + 1))
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_the_beginning_of_a_file_has_the_fingerprint_that_it_had_alone(tmp_path: Path) -> None:
    content = noise(LARGE)
    half = of(tmp_path / "half.mp4", content[: LARGE // 2])
    (tmp_path / "whole.mp4").write_bytes(content)
    now = fingerprint(tmp_path / "whole.mp4", LARGE // 2)
    assert (now.key, now.body) == half


def test_at_most_eight_blocks_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that takes no room
    asked: list[int] = []
    original = module._read

    def read(file: object, start: int, length: int) -> bytes:
        asked.append(length)
        return original(file, start, length)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_read", read)
    fingerprint(path, 1 << 40)
    assert asked == [BLOCK_BYTES] * BLOCKS


def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(noise(1000))
    with pytest.raises(OSError, match="shorter"):
        fingerprint(tmp_path / "a.mp4", 1001)
    with pytest.raises(FileNotFoundError):
        fingerprint(tmp_path / "gone.mp4", 1000)


def test_a_key_of_a_path_is_no_key_of_a_content(tmp_path: Path) -> None:
    odd = Path("/card/b\udcff.mp4")  # a name that isn't UTF-8
    keys = {path_key(p) for p in (odd, tmp_path / "a.mp4", tmp_path / "b.mp4")}
    assert len(keys) == 3
    assert all(goes_by_path(key) for key in keys)
    assert not goes_by_path(of(tmp_path / "a.mp4", noise(10))[0])
