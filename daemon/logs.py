"""Logging: structured lines on standard error, for people on a terminal and as JSON elsewhere."""

import logging
import sys

import structlog

__all__ = ["LEVELS", "configure"]

_PAUSE_SECONDS = 10.0
LEVELS = ("debug", "info", "warning", "error")


class _Libraries(logging.Handler):
    """Passes on what libraries log, in our form, and from each at most one line in a while: they repeat themselves."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        library = record.name.partition(".")[0]
        if record.created - self._last.get(library, 0.0) >= _PAUSE_SECONDS:
            self._last[library] = record.created
            structlog.get_logger().error("library.error", library=library, message=record.getMessage())


def configure(level: str, *, process: str, role: str) -> None:
    """Set up logging for this process, whose name and role every line has; libraries log only what is wrong."""
    logging.basicConfig(handlers=[_Libraries()], level=logging.ERROR)
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _adds(process=process, role=role),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _adds(**fields: str) -> structlog.typing.Processor:
    # Not context variables: threads do not inherit those.
    def add(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        for name, value in fields.items():
            line.setdefault(name, value)
        return line

    return add
