"""One replay from beginning to end: what is to be replayed, where its state lies, and who folds."""

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from daemon import references
from daemon.replay.files import FileStream, for_files
from daemon.replay.playing import Between, Player, Stream
from daemon.replay.pool import Alone, Pool
from daemon.replay.store import Store
from daemon.replay.topics import TopicStream, partitions_of
from daemon.settings import Settings
from detectors.reference import Reference
from sinks.errors import BadData

__all__ = ["Plan", "forget", "run"]

_STATE = "replay.sqlite"
_SPOOL = "replay.spool"
_WORTH_BYTES = 32 << 20
"""Below so much, starting processes takes longer than they save."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to replay: files, or a topic.

    ``models``: only these, all if there are none; ``references``: files, by model; ``jobs``: processes that fold.
    """

    files: tuple[Path, ...]
    models: frozenset[str]
    references: Mapping[str, Path]
    between: Between
    jobs: int
    topic: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """The names of its files, or that of its topic."""
        return (f"topic {self.topic}",) if self.topic else tuple(map(str, self.files))


def run(
    settings: Settings,
    plan: Plan,
    state: Path,
    *,
    begun: Callable[[int | None, int], None],
    taken: Callable[[int], None],
) -> Store:
    """Replay all that ``plan`` says, or what is left of it, with the folder ``state`` for what is found; return that.

    ``begun`` is told how much there is, None if that is not known, and how much of it was done before; ``taken`` how
    much each time.

    Raises
    ------
    BadData
        A file cannot be read, or the state is that of another replay.
    KafkaUnavailable, NotFound
        Of a topic.
    """
    spool = state / _SPOOL
    try:
        spool.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadData(f"{state}: {error.strerror}") from error
    streams: list[Stream] = []
    if plan.topic:
        counted = settings
        held = partitions_of(settings, plan.topic)
        streams += [TopicStream(number, settings, plan.topic, number, end, spool) for number, _, end in held]
    else:
        counted = for_files(settings)
        streams += [FileStream(number, path, counted, spool) for number, path in enumerate(plan.files)]
    known = {model: _reference(settings, path, model) for model, path in plan.references.items()}
    store = Store(state / _STATE)
    try:
        try:
            store.begin(_identity(settings, plan, known))
        except BadData as error:
            raise BadData(f"{state}: {error.detail}; give another place with --state, or remove it") from error
        player = Player(counted, store, streams, known, plan.between)
        sizes = [each.size for each in streams]
        whole = None if None in sizes else sum(each or 0 for each in sizes)
        begun(whole, sum(each.at for each in store.progress().values()))
        large = bool(plan.topic) or sum(path.stat().st_size for path in plan.files) > _WORTH_BYTES
        parallel = plan.jobs > 1 and large
        arguments = (counted, plan.models, state / _STATE, streams)
        with Pool(*arguments, plan.jobs) if parallel else nullcontext(Alone(*arguments)) as folding:
            player.play(folding, taken, lambda files: _remove(files, spool))
    except BaseException:
        store.close()
        raise
    return store


def forget(state: Path) -> None:
    """Remove what a replay kept in the folder ``state``, and the folder if nothing else is in it."""
    for path in state.glob(f"{_STATE}*"):
        path.unlink()
    shutil.rmtree(state / _SPOOL, ignore_errors=True)
    if not any(state.iterdir()):
        state.rmdir()


def _reference(settings: Settings, path: Path, model: str) -> Reference:
    return references.read(settings, path, model, lambda _rows: None)


def _identity(settings: Settings, plan: Plan, known: Mapping[str, Reference]) -> str:
    """Return what tells this replay from others: the events, and all that decides what is found in them."""
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in plan.files]
    secret = settings.selection.secret.get_secret_value()
    given = [
        version("strandline"),
        stats,
        plan.topic,
        settings.model_dump(mode="json"),
        hashlib.sha256(secret.encode()).hexdigest(),
        sorted(plan.models),
        {model: reference.digest for model, reference in sorted(known.items())},
        list(plan.between),
    ]
    return hashlib.sha256(json.dumps(given, default=str).encode()).hexdigest()


def _remove(files: Collection[Path], spool: Path) -> None:
    for path in files:
        if path.parent == spool:
            path.unlink(missing_ok=True)
