"""The log as a route: one structured line for each message."""

import structlog

from sinks.routes.route import Message

__all__ = ["LogRoute"]

_log = structlog.get_logger()


class LogRoute:
    """Writes messages to the service's own log."""

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, message: Message, *, key: str) -> None:
        """Write one line: a warning for what should be looked at, else information."""
        write = _log.warning if message["status"] == "firing" and message["severity"] != "notice" else _log.info
        write(
            f"{message['kind']}.{message['status']}",
            title=message["title"],
            model=message["model"],
            severity=message["severity"],
            incident=message["incident"],
            owner=message["owner"],
            runbook=message["runbook"],
            alerts=[alert["text"] for alert in message["alerts"]],
            route=self.name,
            key=key,
        )

    def close(self) -> None:
        """Do nothing."""
