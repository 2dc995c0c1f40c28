"""``strandline``, and ``python -m daemon``: the way into the command line."""

import os
import signal
import sys

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command line. Ctrl-C is met already while the libraries load, which takes a moment."""
    if os.getpid() == 1:
        # The first process of a container is ended by no signal that it has no handler for: `docker stop` would wait.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        from daemon.cli.main import main as command_line  # noqa: PLC0415 - see above

        command_line()
    except KeyboardInterrupt:
        # Another one must not end the interpreter in its own way while it shuts down.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
