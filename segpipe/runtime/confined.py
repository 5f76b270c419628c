"""`python -m segpipe.runtime.confined MODULE NETWORK SCRATCH …` runs a module's `main` in a process
that has given up what reading doesn't need: to write anywhere but in one folder, to reach other
processes, and, except for live streams, the network.

A damaged file may take over the decoder; then this is what it can do. Everything is given up before
anything but Python is loaded, for later threads would keep their rights. Landlock and seccomp are
called as the kernel documents them: the packages on PyPI that bind them are unmaintained, or need a
library of the system. Where the kernel has neither, the process runs as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from importlib import import_module

SWITCH = "SEGPIPE_READER_SANDBOX"
"""A variable of the environment; `off` gives nothing up."""
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # Landlock's, on every machine
_BENEATH = 1
_WRITING = sum(1 << bit for bit in (1, *range(4, 13)))
"""Write to a file, remove, and make anything: what the first version of Landlock knows of it."""
_LATER = ((2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
"""By version: move elsewhere, cut off, control a device."""
_TO_FILE = 1 << 1 | 1 << 14
_MACHINES = {
    # architecture of seccomp; socket, ptrace, process_vm_readv and _writev, bpf, pidfd_getfd,
    # io_uring_setup
    "x86_64": (0xC000003E, 41, (101, 310, 311, 321, 438, 425)),
    "aarch64": (0xC00000B7, 198, (117, 270, 271, 280, 438, 425)),
}
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM
_OTHER_NUMBERS = 0x40000000


def confine(network: bool, scratch: str) -> str:
    """Give up what isn't needed; what was given up, in words. `scratch` is the folder that may be
    written to, "" for none. Raises nothing."""
    if os.environ.get(SWITCH) == "off" or not sys.platform.startswith("linux"):
        return "not confined"
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return "not confined"
    version = _landlock(library, network, scratch)
    done = [f"no writing (Landlock {version})"] if version else []
    machine = _MACHINES.get(os.uname().machine)
    if machine and not _seccomp(library, _program(*machine, network)):
        done.append("no other process" if network else "no network, no other process")
    return f"confined: {', '.join(done)}" if done else "not confined"


def _landlock(library: ctypes.CDLL, network: bool, scratch: str) -> int:
    """Forbid writing outside of a folder; Landlock's version, 0 where that can't be done."""
    version = library.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return 0
    rights = _WRITING | sum(right for since, right in _LATER if version >= since)
    tcp = 3 if version >= 4 and not network else 0
    scoped = 3 if version >= 6 else 0  # abstract sockets and signals stay among its own
    attributes = struct.pack("QQQ", rights, tcp, scoped)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = library.syscall(_CREATE, attributes, ctypes.c_size_t(size), 0)
    if rules < 0:
        return 0
    for path, allowed in ((scratch, rights), (os.devnull, rights & _TO_FILE)):
        with contextlib.suppress(OSError):  # what isn't there needn't be written to
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            library.syscall(_ADD_RULE, rules, _BENEATH, struct.pack("=Qi", allowed, place), 0)
            os.close(place)
    refused = library.syscall(_RESTRICT, rules, 0)
    os.close(rules)
    return 0 if refused else int(version)


def _program(architecture: int, socket: int, others: tuple[int, ...], network: bool) -> bytes:
    """The filter of system calls: of another architecture, of numbers that stand for the same
    calls, and those that aren't needed are refused with EPERM."""
    refused = (*others, *(() if network else (socket,)))
    last = len(refused) + 1  # the step that refuses, counted from behind the first two
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, len(refused) + 3, architecture),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, last, 0, _OTHER_NUMBERS),
        *((_EQUAL, last - 1 - i, 0, number) for i, number in enumerate(refused)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _seccomp(library: ctypes.CDLL, program: bytes) -> int:
    """Set the filter; 0 where it is set."""
    room = ctypes.create_string_buffer(program)
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(room))
    return int(library.prctl(_SET_SECCOMP, _FILTER, header, 0, 0))


def first_to_go() -> None:
    """When memory runs out, the kernel is to end this process and not the run."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")


if __name__ == "__main__":
    _, module, may_connect, folder, *rest = sys.argv
    first_to_go()
    given_up = confine(may_connect == "network", folder)
    import_module(module).main(given_up, *rest)
