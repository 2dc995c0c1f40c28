"""Run one command so that it never outlives the process that wanted it.

``guard.py PARENT STOP_SIGNAL USER COMMAND...`` is started in a session of its own, so a Ctrl-C in the
terminal does not reach the command before its parent has finished with it. SIGTERM to the guard sends
STOP_SIGNAL to the command; so does the end of the process PARENT, however it came. USER is a system user for
a command that refuses to run as root, or empty.

It runs as a script, on the standard library alone.
"""

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
import types
from collections.abc import Callable

PATIENCE = 10.0  # seconds from the stop signal to SIGKILL

# From linux/prctl.h and linux/capability.h.
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _become(user: str) -> None:
    """Give up root, but keep the right to pass through root's folders: the project may lie in one."""
    entry = pwd.getpwnam(user)
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if libc is not None:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if libc is not None:
        only = 1 << CAP_DAC_OVERRIDE
        sets = (_CapabilitySets * 2)(_CapabilitySets(only, only, only), _CapabilitySets(0, 0, 0))
        # Without the capability the command says itself which folder it cannot enter.
        libc.capset(ctypes.byref(_CapabilityHeader(CAPABILITY_VERSION_3, 0)), sets)
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _prepare(user: str, stop: signal.Signals) -> Callable[[], None]:
    """Return what the child does between fork and exec."""

    def prepare() -> None:
        if user:
            _become(user)
        if sys.platform == "linux":
            # After the change of user, which would clear it: the command ends even if the guard is killed.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(stop), 0, 0, 0)

    return prepare


def main(parent: int, stop: signal.Signals, user: str, command: list[str]) -> int:
    """Run the command until it ends or nobody wants it any more; return its exit status."""
    # The guard has one thread, so preexec_fn is safe here; in the guarded process it might not be.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_prepare(user, stop))  # noqa: PLW1509, S603

    def end(_number: int, _frame: types.FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(stop)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while os.getppid() == parent:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(0.3)
    child.send_signal(stop)
    try:
        return child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), signal.Signals(int(sys.argv[2])), sys.argv[3], sys.argv[4:]))
