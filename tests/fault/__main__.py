"""Plays the fault matrix: ``make fault``, or ``make fault ARGS="--scenario N --seed S"`` to repeat one of them."""

import argparse
import shutil
import sys
import time

from daemon.logs import configure
from sinks.database import upgrade
from tests.fault.scenario import MINUTES, SEED, Scenario, play, scenarios
from tests.fault.services import ProxiedKafka, Services
from tests.services import ROOT, Postgres

_LOGS = ROOT / ".cache" / "fault"


def main() -> int:
    """Play what was asked for; 0 if all held, 1 if not, 2 if there is no such scenario."""
    options = _options()
    chosen = [each for each in scenarios() if not options.scenario or any(map(each.answers_to, options.scenario))]
    if options.list:
        print("\n".join(f"{each.name:>3}  {each.title}" for each in chosen))
        return 0
    if not chosen:
        print(f"there is no scenario {' '.join(options.scenario)}; --list lists them", file=sys.stderr)
        return 2
    configure("critical", process="fault", role="fault")
    shutil.rmtree(_LOGS, ignore_errors=True)
    _LOGS.mkdir(parents=True)
    with ProxiedKafka(_LOGS / "kafka") as kafka, Postgres(_LOGS / "postgres", upgrade) as postgres:
        played = [_play(each, Services(kafka, postgres), options) for each in chosen]
    print("\n".join(["", *(line for _, line in played), ""]))
    failed = [each.name for each, (held, _) in zip(chosen, played, strict=True) if not held]
    print(f"{len(chosen) - len(failed)} of {len(chosen)} held" + (f"; not: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fault", description="Plays the fault matrix.")
    parser.add_argument("--scenario", metavar="N", nargs="+", help="only these, such as 3 or 3b")
    parser.add_argument("--seed", type=int, default=SEED, help="of events and faults (default: %(default)s)")
    parser.add_argument("--client", default="", help="the Kafka client, as kafka.client in the configuration")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="that scenario 18 takes (default: %(default)g)")
    parser.add_argument("--short", action="store_true", help="as short as among the tests")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    return parser.parse_args()


def _play(which: Scenario, services: Services, options: argparse.Namespace) -> tuple[bool, str]:
    """Play one scenario; return whether it held, and its line of the table."""
    services.kafka.start()
    services.postgres.start()
    print(f"{which.name:>3}  {which.title} …", end=" ", flush=True)
    began = time.monotonic()
    directory = _LOGS / which.name
    directory.mkdir()
    try:
        told = play(
            which,
            services,
            directory,
            seed=options.seed,
            client=options.client,
            full=not options.short,
            minutes=options.minutes,
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the scenario failed, and the next one is played
        client = f"CLIENT={options.client} " if options.client else ""
        again = f'make fault {client}ARGS="--scenario {which.name} --seed {options.seed}"'
        print(f"FAILED\n{type(error).__name__}: {error}\nlogs: {directory.relative_to(ROOT)}; again: {again}")
        held, told = False, f"logs: {directory.relative_to(ROOT)}"
    else:
        print(f"held, {time.monotonic() - began:.0f} s")
        held = True
    how = "held" if held else "FAILED"
    return held, f"{which.name:>3}  {which.title:<50} {how:<6} {time.monotonic() - began:6.1f} s  {told}"


if __name__ == "__main__":
    sys.exit(main())
