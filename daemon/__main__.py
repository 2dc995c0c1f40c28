"""``strandline``, and ``python -m daemon``: the way into the command line."""

import sys

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command line. Ctrl-C is met already while the libraries load, which takes a moment."""
    try:
        from daemon.cli.main import main as command_line  # noqa: PLC0415 - see above

        command_line()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
