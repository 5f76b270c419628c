"""A lock for places that have none: a small file with its owner, a token and a heartbeat. Who gives
no sign of life is dead.

Nothing can stop a run that was taken for dead and goes on; so each run looks before each commit
whether the lock is still its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, replace
from types import TracebackType

from segpipe.core.errors import DatasetBusy, DatasetError
from segpipe.runtime.files.paths import AnyPath, is_local, reaching, read_bytes, remove
from segpipe.store.owner import Owner, busy, read_owner, utc_now

log = logging.getLogger(__name__)
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """A sign of life every `beat_s` seconds; silence of `dead_after_s` is death. `settle_s` is how
    long a run waits before it believes that a lock which it put is its own, where the store can't
    say so: longer than a request takes."""

    beat_s: float = 10.0
    dead_after_s: float = 60.0
    settle_s: float = 2.0


TIMING = Timing()


class LockObject:
    """Holds `path` within a `with` block. Entering raises DatasetBusy where a live run holds it."""

    def __init__(self, root: AnyPath, path: AnyPath, timing: Timing) -> None:
        self.root, self.path, self.timing, self.owner = root, path, timing, Owner.here()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="segpipe-lock", daemon=True)

    def __enter__(self) -> LockObject:
        for _ in range(_TRIES):
            there = self._read()
            if there is None:
                won = self._create()
            else:
                owner = read_owner(there)
                if not self._is_dead(there, owner):
                    raise busy(self.root, owner)
                won = self._take_over(there, owner)
            if won:
                self._thread.start()
                return self
        raise busy(self.root, read_owner(self._read() or b""))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(DatasetError, OSError):  # what stays is taken over by the next run
            if self._is_ours(self._read()):
                remove(self.path)

    def check(self) -> None:
        """Raises DatasetBusy where the lock isn't ours any more."""
        there = self._read()
        if not self._is_ours(there):
            other = read_owner(there or b"")
            who = f" ({other.describe()})" if other is not None else ""
            raise DatasetBusy(
                f"{self.root}: another run has taken this dataset over{who}, for this one gave "
                "no sign of life for a while; what "
                "was committed stays: run the same command again when the other is done"
            )

    def _is_dead(self, there: bytes, owner: Owner | None) -> bool:
        if owner is not None and owner.is_known_dead():
            return True
        if owner is not None and abs(owner.silent_s()) <= self.timing.dead_after_s:
            return False
        # Silent by our clock, which may not be its own; or a note that nobody can read: dead is
        # what doesn't move.
        time.sleep(1.5 * self.timing.beat_s)
        return self._read() in (there, None)

    def _create(self) -> bool:
        """Whether the lock was free and is ours now."""
        try:
            self._put(new=True)
        except FileExistsError:
            # A put whose answer was lost is sent again, and refused then
            return self._is_ours(self._read())
        except Exception as error:  # noqa: BLE001 - stores that don't know the condition say so in many ways
            log.debug("the lock can't be put on condition (%s)", type(error).__name__)
            there = self._read()
            if there is not None:
                return self._is_ours(there)
            self._put()
            return self._stands()
        try:
            # Some stores don't know the condition and say nothing: then this one works, too.
            self._put(new=True)
        except Exception:  # noqa: BLE001 - a refusal, whatever its kind
            return True
        return self._stands()

    def _take_over(self, there: bytes, owner: Owner | None) -> bool:
        who = owner.describe() if owner is not None else "its note can't be read"
        if self._read() != there:  # somebody else was faster
            return False
        self._put()
        if not self._stands():
            return False
        log.info("%s: the lock of a dead run was taken over (%s)", self.root, who)
        return True

    def _stands(self) -> bool:
        """Of several that put a lock at the same time, the last one's stands; a while later all see
        the same one."""
        time.sleep(self.timing.settle_s)
        return self._is_ours(self._read())

    def _keep_alive(self) -> None:
        while not self._stop.wait(self.timing.beat_s):
            try:
                if not self._is_ours(self._read()):
                    return  # lost: `check` says so
                self._put()
            except (DatasetError, OSError) as error:
                log.warning(
                    "%s: no sign of life could be given (%s); it is tried again", self.root, error
                )

    def _read(self) -> bytes | None:
        try:
            return read_bytes(self.path)
        except FileNotFoundError:
            return None

    def _put(self, new: bool = False) -> None:
        """Write the note whole. With `new`, raises FileExistsError where there is one."""
        data = replace(self.owner, beat=utc_now()).text().encode()
        if not is_local(self.path):
            with reaching(self.path):
                self.path.fs.pipe_file(self.path.path, data, **({"mode": "create"} if new else {}))
        elif new:
            with self.path.open("xb") as file:
                file.write(data)
        else:
            written = self.path.with_name(f"{self.path.name}.{self.owner.token}")
            with written.open("xb") as file:
                file.write(data)
            written.replace(self.path)

    def _is_ours(self, there: bytes | None) -> bool:
        owner = read_owner(there or b"")
        return owner is not None and owner.token == self.owner.token
