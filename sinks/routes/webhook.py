"""Webhooks in the shape that Prometheus Alertmanager sends (version 4), for the many things that understand it.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from typing import Any

import httpx

from sinks.routes.route import DeliveryFailed, Message

__all__ = ["WebhookRoute", "payload"]

_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_NO_TIME = "0001-01-01T00:00:00Z"
"""What Alertmanager writes for the end of an alert that fires."""
_REASON_BYTES = 200


class WebhookRoute:
    """Posts messages to a URL; whatever answers 2xx has them. ``token``, if any, goes along as a bearer token."""

    def __init__(self, name: str, *, url: str, token: str = "") -> None:
        self.name = name
        self._url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A redirect could lead inside the network: the receiver must be where the configuration says.
        self._client = httpx.Client(timeout=_TIMEOUT, follow_redirects=False, headers=headers)

    def send(self, message: Message, *, key: str) -> None:
        """Post ``message``; the key goes along as ``Idempotency-Key``."""
        try:
            answer = self._client.post(
                self._url, json=payload(message, self.name, key), headers={"Idempotency-Key": key}
            )
        except httpx.HTTPError as error:
            # The URL may hold a secret: it stays out of messages and logs.
            raise DeliveryFailed(f"{type(error).__name__}: {error}".replace(self._url, "…")) from error
        if not answer.is_success:
            reason = answer.content[:_REASON_BYTES].decode(errors="replace").strip()
            raise DeliveryFailed(f"The receiver answered {answer.status_code} {reason}".strip())

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def payload(message: Message, receiver: str, key: str) -> dict[str, Any]:
    """Return ``message`` in Alertmanager's shape. ``groupKey`` is the same for all messages of an incident."""
    alerts = [_alert(message, alert) for alert in message["alerts"]] or [_bare(message, key)]
    return {
        "version": "4",
        "groupKey": message["group"],
        "truncatedAlerts": message["truncated"],
        "status": message["status"],
        "receiver": receiver,
        "groupLabels": {"model": message["model"]},
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": message["external_url"],
        "alerts": alerts,
    }


def _alert(message: Message, alert: Message) -> dict[str, Any]:
    return {
        "status": alert["status"],
        "labels": {**alert["labels"], "severity": alert["severity"], **_owner(message)},
        "annotations": _annotations(message, alert["title"], alert["text"]),
        "startsAt": alert["starts"] or _NO_TIME,
        "endsAt": alert["ends"] or _NO_TIME,
        "generatorURL": message["url"],
        "fingerprint": alert["fingerprint"],
    }


def _bare(message: Message, key: str) -> dict[str, Any]:
    """Return the one alert of a message that has none: a notice."""
    labels = {"alertname": "StrandlineNotice", "model": message["model"], "severity": message["severity"]}
    return {
        "status": message["status"],
        "labels": {**labels, **_owner(message)},
        "annotations": _annotations(message, message["title"], message["text"]),
        "startsAt": _NO_TIME,
        "endsAt": _NO_TIME,
        "generatorURL": message["url"],
        "fingerprint": key,
    }


def _annotations(message: Message, title: str, text: str) -> dict[str, str]:
    found = {"summary": title, "description": text, "runbook_url": message["runbook"]}
    return {name: value for name, value in found.items() if value}


def _owner(message: Message) -> dict[str, str]:
    return {"owner": message["owner"]} if message["owner"] else {}


def _common(each: list[dict[str, str]]) -> dict[str, str]:
    first, *rest = each
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in rest)}
