"""A configuration for a topic that nobody has described yet: what its records may mean, tried on them, as a file."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.buffer import NEVER, Buffer, Cohort
from daemon.proposals import Proposal, propose
from daemon.records import Records
from daemon.sampling import Sampled
from daemon.settings import ModelSettings, Settings
from daemon.settings.events import TopicEventSettings
from detectors.columns import DEFECTS
from sinks.effects import DeadLetter
from sinks.errors import BadData, BadSettings

__all__ = ["Draft", "Trial", "draft", "example", "try_out"]

_TEMPLATE = Path(__file__).with_name("config.toml")
_OWN = ("id", "time", "model", "prediction")
_SEGMENT_VALUES = 20
_SEGMENTS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of records: how many could be decoded, which could not, and the defects of those that could."""

    decoded: int
    dead: tuple[DeadLetter, ...]
    defects: Counter[str]
    models: tuple[tuple[str, str], ...]
    tags: Mapping[str, int]
    """How many values each wanted tag has."""


@dataclass(slots=True)
class Draft:
    """What is known of a topic. ``proposal`` is None if it holds our own events."""

    topic: str
    bootstrap_servers: Sequence[str]
    proposal: Proposal | None
    samples: int
    classes: tuple[str, ...] = ()
    regressor: bool = False
    segments: tuple[str, ...] = ()
    trial: Trial | None = None
    missing: str = ""
    postgres: str = ""
    secret: str = ""
    """What keys the draws."""

    def settings(self) -> Settings:
        """Return the settings that the draft comes to."""
        events = TopicEventSettings()
        if self.proposal is not None:
            events = TopicEventSettings(decoder="json", fields=self.proposal.fields())
        model = ModelSettings(
            kind="regressor" if self.regressor else "classifier", classes=self.classes, segments=self.segments
        )
        return Settings(events=events, model={"*": model})

    def toml(self) -> str:
        """Return the commented configuration: the default one, with what is known put in."""
        text = _TEMPLATE.read_text(encoding="utf-8")
        text = _set(text, "bootstrap_servers", list(self.bootstrap_servers))
        text = _set(text, "topics", [self.topic])
        if self.postgres:
            text = _set(text, "url", self.postgres, first='url = "postgresql')
        if self.secret:
            text = _set(text, "secret", self.secret)
        if self.proposal is not None:
            text = _set(text, "decoder", "json")
            text = re.sub(r"^fields = \{\}.*\n", "", text, flags=re.MULTILINE)
            table = _fields_table(self.proposal, self.samples, self.missing)
            text = text.replace("\n[ingest]\n", f"\n{table}\n[ingest]\n", 1)
        if self.regressor:
            text = _set(text, "kind", "regressor")
        text = _set(text, "segments", list(self.segments))
        return _set(text, "classes", list(self.classes))


def draft(
    samples: Sequence[Sampled], topic: str, bootstrap_servers: Sequence[str], classes: tuple[str, ...] = ()
) -> Draft:
    """Return what the samples of a topic tell.

    Raises
    ------
    BadData
        None of them is a JSON object.
    """
    trees, times = [], []
    for record in samples:
        tree = _tree(record.value)
        if isinstance(tree, dict):
            trees.append(tree)
            times.append(record.timestamp)
    if not trees:
        raise BadData(f"the topic {topic!r}: none of {len(samples)} records is a JSON object; {_shown(samples)}")
    own = sum(all(name in tree for name in _OWN) for tree in trees) > len(trees) / 2
    found = Draft(topic, bootstrap_servers, None if own else propose(trees, times, topic), len(samples), classes)
    try:
        found.trial = try_out(found.settings(), samples)
    except BadSettings as error:
        found.missing = error.detail
        return found
    numbers = Counter(letter.reason for letter in found.trial.dead)["prediction_not_a_class"]
    if numbers > len(samples) / 2:
        found.regressor = True
    wanted = _tag_names(found.proposal, trees)
    found.segments = wanted
    found.trial = try_out(found.settings(), samples)
    few = [name for name in wanted if 1 < found.trial.tags.get(name, 0) <= _SEGMENT_VALUES]
    found.segments = tuple(few[:_SEGMENTS])
    return found


def try_out(settings: Settings, samples: Sequence[Sampled]) -> Trial:
    """Decode the samples as a worker would.

    Raises
    ------
    BadSettings
        The decoder does not like its settings.
    """
    cohorts: dict[tuple[str, str], Cohort] = {}

    def cohort_of(model: str, version: str) -> Cohort:
        return cohorts.setdefault((model, version), Cohort(len(cohorts), model, version, settings.of(model)))

    buffer = Buffer(settings, cohort_of)
    for record in samples:
        buffer.add(record.topic, record.partition, Records.of([record]), NEVER)
    if not len(buffer):
        return Trial(0, tuple(buffer.dead_letters), Counter(), tuple(cohorts), {})
    columns = buffer.batch().columns
    defects = {name: int((columns.defects >> bit & 1).sum()) for bit, name in enumerate(DEFECTS)}
    tags = {name: len(values.names) for name, values in columns.tags.items()}
    return Trial(len(buffer), tuple(buffer.dead_letters), +Counter(defects), tuple(cohorts), tags)


def _tree(value: bytes | None) -> object:
    try:
        return json.loads(value or b"")
    except (ValueError, RecursionError):
        return None


def _shown(samples: Sequence[Sampled]) -> str:
    value = next((record.value for record in samples if record.value), None)
    return "all are empty" if value is None else f"the first begins with {value[:40]!r}"


def _tag_names(proposal: Proposal | None, trees: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """Return the tags there are, those of the most events first."""
    if proposal is not None:
        return tuple(each.field.removeprefix("tags.") for each in proposal.found if each.field.startswith("tags."))
    names: Counter[str] = Counter()
    for tree in trees:
        tags = tree.get("tags")
        names.update(tags if isinstance(tags, dict) else ())
    return tuple(name for name, _ in names.most_common(_SEGMENT_VALUES))


def _set(text: str, key: str, value: object, *, first: str = "") -> str:
    """Replace a key's default, and keep the comment behind it."""
    pattern = re.compile(rf"^({re.escape(first) if first else key + ' ='})[^#\n]*", re.MULTILINE)
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    changed, count = pattern.subn(lambda found: line.ljust(len(found[0]) - 2) + "  ", text, count=1)
    assert count == 1, f"config.toml has no {key}"
    return "\n".join(each.rstrip() for each in changed.split("\n"))


def _fields_table(proposal: Proposal, samples: int, missing: str) -> str:
    """Return ``[events.fields]``: each field, its path, and how often something stands there."""
    lines = ["[events.fields]         # our field = where it stands in the record"]
    counts = {each.field: each.count for each in proposal.found}
    rows = []
    for name, value in proposal.fields().items():
        key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
        if isinstance(value, str):
            # No example from the records here: what they say of people does not belong into a configuration.
            rows.append((f"{key} = {json.dumps(value, ensure_ascii=False)}", f"in {counts[name]} of {samples} samples"))
        else:
            rows.append((f"{key} = {{ value = {json.dumps(proposal.model, ensure_ascii=False)} }}", "for all records"))
    width = max(len(row) for row, _ in rows)
    lines += (f"{row.ljust(width)}  # {comment}" for row, comment in rows)
    if missing:
        lines.append(f"# To be done by hand: {missing}")
    if proposal.left:
        lines.append(f"# Not mapped: {', '.join(each.path_text for each in proposal.left)}")
    return "\n".join(lines) + "\n"


def example(value: object) -> str:
    """Return a value on one short line."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 40 else text[:39] + "…"
