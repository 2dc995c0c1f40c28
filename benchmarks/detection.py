"""What is found and how soon, and how often it is a false alarm: Strandline's detectors beside their peers.

No services. What each part measures stands at the head of its file in benchmarks/quality/. The peers (river, a KS test,
PSI) run in the peers' environment (`make .cache/peers/.done`). What is not there is told, and left out.
"""

import argparse
from collections.abc import Callable

from benchmarks.quality import nulls
from benchmarks.report import Goal, print_json

PARTS: dict[str, Callable[..., dict[str, float]]] = {"nulls": nulls.run}
GOALS: tuple[Goal, ...] = nulls.GOALS


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="about two minutes, for a first look")
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part; may be repeated")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for name in arguments.only or PARTS:
        figures |= PARTS[name](quick=arguments.quick)
    for goal in GOALS:
        if goal.figure in figures:
            held = "held" if goal.held(figures[goal.figure]) else "NOT HELD"
            print(f"{goal.figure}: {figures[goal.figure]:.4g}, goal {goal.goal:g}: {held}")
    if arguments.json:
        print_json("detection", figures, GOALS)


if __name__ == "__main__":
    main()
