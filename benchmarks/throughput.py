"""Ingest speed and scale: Strandline, with exactly-once commits, beside what people write today and beside peers.

A real Apache Kafka and PostgreSQL; every contender in a fresh process, in turn with the others, medians of three
rounds. The clock of each starts with its first records, so that starting is not measured, and stops when all is read,
or committed. CPU time is that of the process, all threads; PostgreSQL's and Kafka's own is not in it. What each part
measures stands at the head of its file in benchmarks/parts/.

--quick runs the first part only, with fewer events and one round; with --only, those parts.
"""

import argparse

from benchmarks.parts import backlog, contenders, features, latency, streams, workers
from benchmarks.report import print_json
from benchmarks.stand import stand

PARTS = {
    "contenders": contenders,
    "streams": streams,
    "features": features,
    "workers": workers,
    "backlog": backlog,
    "latency": latency,
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="about a minute, for a first look")
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part; may be repeated")
    arguments = parser.parse_args()
    names = arguments.only or (["contenders"] if arguments.quick else list(PARTS))
    figures: dict[str, float] = {}
    with stand() as services:
        for name in names:
            outcome = PARTS[name].run(services, quick=arguments.quick)
            figures |= outcome.figures
            for what, why in outcome.missing.items():
                print(f"{what}: not available: {why}")
    if arguments.json:
        goals = [goal for name in names for goal in PARTS[name].GOALS]
        print_json("throughput", figures, goals)


if __name__ == "__main__":
    main()
