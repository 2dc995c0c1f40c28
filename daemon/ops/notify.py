"""systemd's notifications: a line in a datagram to the socket that it names (sd_notify(3))."""

import os
import socket

__all__ = ["notify", "watchdog_seconds"]


def notify(*lines: str) -> bool:
    """Send lines such as ``READY=1``; return whether somebody wants to know.

    A service manager that is away is no fault.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.setblocking(False)
        try:
            connection.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
    return True


def watchdog_seconds() -> float | None:
    """Return how often the watchdog wants to hear of us (half of its patience); None if there is none for us."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 2e6
