"""The shape of foreign records: structs made of the paths that are wanted, so that nothing else is decoded."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from daemon.decoders.paths import Step

__all__ = ["Wanted", "overlap", "reader"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value that is wanted: where it stands, of which type it is, and what it is if it is missing.

    ``required``: a record without it is not of this shape.
    """

    path: tuple[Step, ...]
    type: Any
    default: object = None
    required: bool = False


@dataclass(slots=True)
class _Node:
    """An object or array on the way, by the next step; a leaf is what is wanted."""

    children: dict[Step, "_Node | Wanted"] = field(default_factory=dict)


def overlap(one: Sequence[Step], other: Sequence[Step]) -> bool:
    """Say whether one path leads to the same place as the other, or into it."""
    return all(first == second for first, second in zip(one, other, strict=False))


def reader(slots: Sequence[object]) -> Callable[[bytes], tuple[Any, ...]]:
    """Return what reads a record's JSON into a tuple: of each slot what is Wanted, or the constant that stands there.

    It raises msgspec.DecodeError. No place may be an object to one path and an array to another.
    """
    # Paths that overlap are read one pass after the other. Hardly ever is there more than the first.
    passes: list[dict[int, Wanted]] = [{}]
    for slot, each in enumerate(slots):
        if isinstance(each, Wanted):
            for one in passes:
                if not any(overlap(each.path, other.path) for other in one.values()):
                    one[slot] = each
                    break
            else:
                passes.append({slot: each})
    first = _one_pass([each.default if isinstance(each, Wanted) else each for each in slots], passes[0])
    if len(passes) == 1:
        return first
    others = [(tuple(one), _one_pass([], dict(enumerate(one.values())))) for one in passes[1:]]

    def read(value: bytes) -> tuple[Any, ...]:
        found = list(first(value))
        for positions, read_other in others:
            for position, each in zip(positions, read_other(value), strict=True):
                found[position] = each
        return tuple(found)

    return read


def _one_pass(constants: Sequence[object], wanted: Mapping[int, Wanted]) -> Callable[[bytes], tuple[Any, ...]]:
    """Return what reads what is wanted, by slot; the other slots are constants.

    That these are read like the rest, as attributes of the struct, makes one call of the whole, without a loop.
    """
    if [each.path for each in wanted.values()] == [()]:
        return lambda value: (msgspec.Raw(value),)
    slots = range(max(len(constants), len(wanted)))
    fixed = {f"c{slot}": constants[slot] for slot in slots if slot not in wanted}
    decode = msgspec.json.Decoder(_struct(_tree(wanted.values()), fixed)).decode
    places = [[_attribute(step) for step in wanted[slot].path] if slot in wanted else [f"c{slot}"] for slot in slots]
    names = [".".join(place) for place in places]
    get: Callable[[object], tuple[Any, ...]] = operator.attrgetter(*names)
    if len(names) == 1:
        # Of one name it makes no tuple.
        get = _alone(operator.attrgetter(*names))

    def read(value: bytes) -> tuple[Any, ...]:
        found = decode(value)
        try:
            return get(found)
        except AttributeError:
            # Something on the way to what need not be there is null.
            defaults = [wanted[slot].default if slot in wanted else None for slot in slots]
            return tuple(_walk(found, place, default) for place, default in zip(places, defaults, strict=True))

    return read


def _alone(get: Callable[[object], object]) -> Callable[[object], tuple[Any, ...]]:
    return lambda found: (get(found),)


def _tree(wanted: Iterable[Wanted]) -> _Node:
    root = _Node()
    for each in wanted:
        node = root
        for step in each.path[:-1]:
            child = node.children.setdefault(step, _Node())
            assert isinstance(child, _Node), "paths overlap"
            node = child
        node.children[each.path[-1]] = each
    return root


def _walk(found: object, place: Sequence[str], default: object) -> object:
    for name in place:
        if found is None:
            return default
        found = getattr(found, name)
    return found


def _attribute(step: Step) -> str:
    """Return a step's name in a struct: any text can be a key, not every one a name."""
    return f"i{step}" if isinstance(step, int) else "k" + step.encode().hex()


def _required(node: "_Node | Wanted") -> bool:
    return node.required if isinstance(node, Wanted) else any(map(_required, node.children.values()))


def _struct(node: _Node, namespace: dict[str, object] | None = None) -> Any:
    if any(isinstance(step, int) for step in node.children):
        return _array(node)
    fields: list[tuple[Any, ...]] = []
    rename: dict[str, str] = {}
    for step, child in node.children.items():
        fields.append((_attribute(step), *_typed(child)))
        rename[_attribute(step)] = str(step)
    return msgspec.defstruct("Record", fields, rename=rename, namespace=namespace, frozen=True, gc=False, kw_only=True)


def _array(node: _Node) -> Any:
    """Return a struct for an array: positions before one that is required are passed over, whatever stands there."""
    fields: list[tuple[Any, ...]] = []
    positions = [step for step in node.children if isinstance(step, int)]
    last = max((step for step in positions if _required(node.children[step])), default=-1)
    for position in range(max(positions) + 1):
        child = node.children.get(position, Wanted((), msgspec.Raw, msgspec.Raw(b"null")))
        type_, *default = _typed(child)
        fields.append((_attribute(position), type_) if position <= last else (_attribute(position), type_, *default))
    return msgspec.defstruct("Array", fields, array_like=True, frozen=True, gc=False)


def _typed(node: "_Node | Wanted") -> tuple[Any, ...]:
    """Return a field's type, and its default unless it is required."""
    if isinstance(node, Wanted):
        return (node.type,) if node.required else (node.type, node.default)
    struct = _struct(node)
    return (struct,) if _required(node) else (struct | None, struct())
