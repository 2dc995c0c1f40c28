"""What an event says, by the kind of its model: a class or numbers, and how sure the model is.

docs/models.md holds the whole of it as a table.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from daemon.events import MAX_NAME, Event, Rejected

__all__ = ["CLASSIFIER", "KINDS", "OWN_FIELDS", "Own", "Said", "class_named", "class_of", "said"]

CLASSIFIER = "classifier"
OWN_FIELDS = ("prediction", "uncertainty", "objects.count", "objects.min_score", "objects.mean_score")
"""The paths of the numbers that an event says besides its features."""
_NAN = math.nan
_EXACT = 2.0**53
_NUL = "\x00"


class Own(NamedTuple):
    """The numbers of OWN_FIELDS in their order, NaN where there is none; then the expected error, likewise."""

    prediction: float = _NAN
    uncertainty: float = _NAN
    objects: float = _NAN
    min_score: float = _NAN
    mean_score: float = _NAN
    doubt: float = _NAN


class Said(NamedTuple):
    """What an event says: the class it predicts, its numbers, and its confidence as it was given, or made."""

    predicted: str | None
    own: Own | None
    confidence: float | None


class _Detected(msgspec.Struct, gc=False):
    """One object that was detected."""

    name: str = msgspec.field(name="class")
    score: float


_OBJECTS = msgspec.json.Decoder(list[_Detected] | None)


def said(event: Event, kind: str) -> Said:
    """Return what ``event`` of a model of that kind says.

    Raises
    ------
    Rejected
        It says nothing that a model of this kind can say.
    """
    return KINDS[kind](event)


def class_of(event: Event) -> str:
    """Return the predicted class as text; raises Rejected if there is none."""
    if event.prediction is msgspec.UNSET:
        raise _missing("prediction")
    return class_named(event.prediction)


def class_named(prediction: str | float | bool) -> str:
    """Return the class that a prediction means, as text; raises Rejected if it means none."""
    if isinstance(prediction, str):
        return prediction
    if isinstance(prediction, bool):
        return "true" if prediction else "false"
    if isinstance(prediction, int):
        return str(prediction)
    # From 2⁵³ on a double is no longer one integer: two classes could be told apart no more.
    if prediction.is_integer() and abs(prediction) < _EXACT:
        return str(int(prediction))
    raise Rejected("prediction_not_a_class", f"expected text, an integer or a boolean, found {prediction!r}")


def _classifier(event: Event) -> Said:
    own = None if event.uncertainty is None else Own(uncertainty=event.uncertainty)
    return Said(class_of(event), own, event.confidence)


def _regressor(event: Event) -> Said:
    prediction = event.prediction
    if prediction is msgspec.UNSET:
        raise _missing("prediction")
    if isinstance(prediction, (str, bool)):
        raise Rejected("prediction_not_a_number", f"the model is a regressor, found {prediction!r}")
    uncertainty = _NAN if event.uncertainty is None else event.uncertainty
    return Said(None, Own(prediction=float(prediction), uncertainty=uncertainty), event.confidence)


def _detector(event: Event) -> Said:
    """Take the class of the surest object as the prediction, and the mean score as the confidence."""
    objects = _objects(event)
    scores = [each.score for each in objects]
    if not scores:
        return Said(_optional_class(event), Own(objects=0.0), event.confidence)
    mean = math.fsum(scores) / len(scores)
    surest = max(objects, key=lambda each: (each.score, each.name))
    own = Own(objects=len(scores), min_score=min(scores), mean_score=mean, doubt=1.0 - min(scores))
    predicted = _optional_class(event)
    return Said(
        surest.name if predicted is None else predicted, own, mean if event.confidence is None else event.confidence
    )


def _objects(event: Event) -> list[_Detected]:
    try:
        objects = _OBJECTS.decode(event.objects) or []
    except msgspec.MsgspecError as error:
        raise Rejected("wrong_shape", f"{str(error).replace('`$', '`$.objects')}") from error
    for each in objects:
        if not 0.0 <= each.score <= 1.0:
            raise Rejected("wrong_shape", f"objects: expected scores from 0 to 1, found {each.score}")
        if not 0 < len(each.name) <= MAX_NAME or _NUL in each.name:
            raise Rejected("bad_text", f"objects: expected a class of 1 to {MAX_NAME} characters without U+0000")
    return objects


def _text(event: Event) -> Said:
    """Take the log-probability for the confidence, if there is no other; what was written is no class."""
    confidence, logarithm = event.confidence, event.log_probability
    if confidence is None and logarithm is not None:
        # Above zero it is none: then neither is what becomes of it.
        confidence = math.exp(logarithm) if logarithm <= 0.0 else math.inf
    own = None if event.uncertainty is None else Own(uncertainty=event.uncertainty)
    return Said(None, own, confidence)


def _ranking(event: Event) -> Said:
    """Take the probabilities or the confidence alone: what is ranked first is one of too many to be a class."""
    own = None if event.uncertainty is None else Own(uncertainty=event.uncertainty)
    return Said(None, own, event.confidence)


def _optional_class(event: Event) -> str | None:
    return None if event.prediction is msgspec.UNSET else class_of(event)


def _missing(field: str) -> Rejected:
    return Rejected("missing_field", f"Object missing required field `{field}`")


KINDS: dict[str, Callable[[Event], Said]] = {
    CLASSIFIER: _classifier,
    "regressor": _regressor,
    "detector": _detector,
    "text": _text,
    "ranking": _ranking,
}
"""The kinds of models there are."""
