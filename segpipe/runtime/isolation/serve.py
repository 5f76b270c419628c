"""The child's side of `segpipe.runtime.isolation`, which `segpipe.runtime.confined` starts. It ends
with its parent."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from segpipe.runtime.isolation import heartbeat
from segpipe.runtime.isolation.errors import error_as_plain
from segpipe.runtime.isolation.memory import allocated, lift_limit, limit_memory
from segpipe.runtime.isolation.messages import END, ERROR, ITEM, TICK, WHERE, receive_call, send

_libraries = 0
"""Bytes that the imports took."""


class _FirstSign:
    """The sign that a call begins. The first of all says what this process has given up; from there
    on, what libraries say of footage is nobody's, for it would fill the file that the parent keeps
    of the start."""

    def __init__(self, given_up: str, hush: bool) -> None:
        self._given_up: str | None = given_up
        self._hush = hush

    def give(self, pipe: Connection) -> None:
        if self._hush:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            self._hush = False
        send(pipe, TICK, self._given_up, 0.0)
        self._given_up = None


def main(given_up: str, descriptor: str, *flags: str) -> None:
    """Serve calls until the parent is gone. `given_up` says what this process can't do; with the
    flag `hush` it writes nothing once it has started."""
    # They reach the whole group; what ends is for the parent to say
    for name in (
        signal.SIGINT,
        signal.SIGTERM,
    ):
        signal.signal(name, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        # The file that the parent keeps, whatever becomes of 2.
        faulthandler.register(WHERE, os.dup(2))
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    pipe = Connection(int(descriptor))
    first_sign = _FirstSign(given_up, "hush" in flags)
    heartbeat.beat = lambda: send(pipe, TICK, None, 0.0)
    with contextlib.suppress(EOFError, OSError):
        while True:
            _serve(pipe, first_sign, receive_call(pipe))
    _end()


def _serve(pipe: Connection, first_sign: _FirstSign, call: tuple[Any, ...]) -> None:
    module, name, arguments, ready = call
    try:
        function = _imported(module, name, ready, arguments)
        first_sign.give(pipe)
        iterator = iter(function(*arguments))
        while True:
            since = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                send(pipe, END, None, time.perf_counter() - since)
                return
            send(pipe, ITEM, item, time.perf_counter() - since)
            del item  # a large picture isn't kept while the next one is read
    except (BrokenPipeError, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - it is raised again on the parent's side
        send(pipe, ERROR, error_as_plain(error), 0.0)


def _imported(
    module: str, name: str, ready: str, arguments: tuple[Any, ...]
) -> Callable[..., Iterator[Any]]:
    """The function, and all that it needs imported; what that took is no part of what footage may
    take."""
    global _libraries
    lift_limit()
    before = allocated() if _libraries else 0
    function: Callable[..., Iterator[Any]] = getattr(import_module(module), name)
    if ready:
        getattr(import_module(module), ready)(*arguments)
    _libraries += max(0, allocated() - before)
    limit_memory(_libraries)
    return function


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
