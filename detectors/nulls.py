"""What is tested now: the nulls of a monitor in the segments it is asked about."""

from collections.abc import Mapping

from detectors.monitors import Monitor, Nulls, nulls, questions_of
from detectors.reference import Reference
from detectors.registry import MONITORS
from detectors.tolerance import Variation

__all__ = ["nulls_in_force"]


def nulls_in_force(
    monitor: Monitor,
    reference: Reference,
    segments: tuple[str, ...],
    varied: Variation,
    hour: int,
    tolerances: Mapping[str, float],
) -> Nulls:
    """Return what a monitor tests in those of the ``segments`` that it is asked about."""
    asked = segments[: questions_of(monitor, reference.layout).rows(len(segments))]
    return nulls(monitor, reference, asked, varied, _components(reference), hour, tolerances.get(monitor.name))


def _components(reference: Reference) -> int:
    """Return the number of components of all monitors in one segment."""
    return sum(len(questions_of(monitor, reference.layout).names) for monitor in MONITORS)
