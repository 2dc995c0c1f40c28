"""What is found and how soon, and how often it is a false alarm: Strandline's detectors beside their peers.

No services. What each part measures stands at the head of its file in benchmarks/quality/. The peers (river, a KS test,
PSI) run in the peers' environment (`make .cache/peers/.done`), and the real data come with nannyml
(`make .cache/nannyml/.done`). What is not there is told, and left out.
"""

import argparse
from pathlib import Path

from benchmarks.quality import cost, delay, nulls, real, suite
from benchmarks.report import Goal, print_json

PARTS = ("nulls", "suite", "delay", "real", "cost")
GOALS: tuple[Goal, ...] = (*nulls.GOALS, *suite.GOALS, *delay.GOALS, *real.GOALS, *cost.GOALS)


def measure(part: str, *, quick: bool, data: Path) -> dict[str, float]:
    """Run one of PARTS; return its figures."""
    if part == "real":
        return real.run(quick=quick, data=data)
    return {"nulls": nulls.run, "suite": suite.run, "delay": delay.run, "cost": cost.run}[part](quick=quick)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="about two minutes, for a first look")
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part; may be repeated")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of electricity.csv")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for name in arguments.only or PARTS:
        figures |= measure(name, quick=arguments.quick, data=arguments.data)
    for goal in GOALS:
        if goal.figure in figures:
            held = "held" if goal.held(figures[goal.figure]) else "NOT HELD"
            print(f"{goal.figure}: {figures[goal.figure]:.4g}, goal {goal.goal:.4g}: {held}")
    if arguments.json:
        print_json("detection", figures, GOALS)


if __name__ == "__main__":
    main()
