"""The child's side of `segpipe.runtime.isolation`: `python -m segpipe.runtime.isolation.serve FD`.
It ends with its parent."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from segpipe.core.errors import SegpipeError, one_line
from segpipe.core.units import bytes_of
from segpipe.runtime.isolation import heartbeat
from segpipe.runtime.isolation.messages import END, ERROR, ITEM, TICK, WHERE, receive, send

MEMORY, MEMORY_VARIABLE = "2GB", "SEGPIPE_READER_MEMORY"
"""What a child may allocate beside the libraries, and the variable of the environment that says
otherwise."""
_libraries = 0
"""Bytes that the imports took."""


def main(descriptor: int) -> None:
    """Serve calls until the parent is gone."""
    # They reach the whole group; what ends is for the parent to say
    for name in (
        signal.SIGINT,
        signal.SIGTERM,
    ):
        signal.signal(name, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        # The file that the parent keeps, whatever becomes of 2.
        faulthandler.register(WHERE, os.dup(2))
    _first_to_go()
    _limit_memory()
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    pipe = Connection(descriptor)
    heartbeat.beat = lambda: send(pipe, TICK, None, 0.0)
    with contextlib.suppress(EOFError, OSError):
        while True:
            _, call, _ = receive(pipe)
            _serve(pipe, *call)
    _end()


def _serve(
    pipe: Connection, module: str, name: str, arguments: tuple[Any, ...], ready: str
) -> None:
    try:
        function = _imported(module, name, ready, arguments)
        _hush()
        send(pipe, TICK, None, 0.0)
        iterator = iter(function(*arguments))
        while True:
            since = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                send(pipe, END, None, time.perf_counter() - since)
                return
            send(pipe, ITEM, item, time.perf_counter() - since)
    except (BrokenPipeError, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - it is raised again on the parent's side
        send(pipe, ERROR, _portable(error), 0.0)


def _imported(
    module: str, name: str, ready: str, arguments: tuple[Any, ...]
) -> Callable[..., Iterator[Any]]:
    """The function, and all that it needs imported; what that took is no part of what footage may
    take."""
    global _libraries
    before = _allocated() if _libraries else 0
    function: Callable[..., Iterator[Any]] = getattr(import_module(module), name)
    if ready:
        getattr(import_module(module), ready)(*arguments)
    _libraries += max(0, _allocated() - before)
    _limit_memory(_libraries)
    return function


def _portable(error: Exception) -> Exception:
    """The error, if it survives the journey; else one that says the same."""
    error.__cause__ = error.__context__ = error.__traceback__ = None
    try:
        return (
            error
            if type(pickle.loads(pickle.dumps(error))) is type(error)
            else SegpipeError(one_line(error))
        )
    except Exception:  # noqa: BLE001
        return SegpipeError(one_line(error))


def _watch(parent: int) -> None:
    """End with the parent, however it ends; a call that hangs would never notice. So do the
    programs that were started here."""
    while os.getppid() == parent:
        time.sleep(1.0)
    _end()


def _end() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _hush() -> None:
    """From here on, what libraries say of footage is nobody's: it would fill the file that the
    parent keeps of the start."""
    if sys.argv[2:] == ["hush"]:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        del sys.argv[2:]


def _first_to_go() -> None:
    """When memory runs out, the kernel is to end this process and not the run."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")


def _limit_memory(libraries: int = 0) -> None:
    """A file of a few kilobytes can claim tables of gigabytes: past the limit an allocation fails,
    and with it this one file.

    `libraries` are the bytes that imports have taken; transformers and torch alone take most of two
    gigabytes. The system's own limit is the ceiling. Threads' stacks count too, so that each core
    adds to it.
    """
    try:
        import resource

        own = (
            libraries
            + bytes_of(os.environ.get(MEMORY_VARIABLE, MEMORY))
            + (os.cpu_count() or 1) * 2**23
        )
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(
            resource.RLIMIT_DATA, (own if hard == resource.RLIM_INFINITY else min(own, hard), hard)
        )
    except (
        ImportError,
        OSError,
        ValueError,
    ):
        # No such limit here, or a size that is none: reading goes on without
        return


def _allocated() -> int:
    """Bytes that this process has allocated, as RLIMIT_DATA counts them; 0 where the system doesn't
    tell."""
    with (
        contextlib.suppress(OSError, ValueError),
        open("/proc/self/status", encoding="ascii") as file,
    ):
        for line in file:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main(int(sys.argv[1]))
