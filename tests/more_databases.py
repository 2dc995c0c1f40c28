"""PostgreSQL as others have it: an older one, and one behind a pooler."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from daemon.demo.processes import GuardedProcess, Service, free_port
from tests.services import ROOT, Postgres

DEBIAN = Path("/usr/lib/postgresql/15/bin")
FETCHED = ROOT / ".cache" / "postgres"


def programs(version: str) -> Path:
    """Return where the programs of an older server are: Debian's 15, and what `make test` fetched."""
    return DEBIAN if version == "15" else FETCHED / version / "bin"


class OlderPostgres(Postgres):
    """PostgreSQL of an older major version."""

    locale = ("--locale=C",)

    def __init__(self, directory: Path, version: str, migrate: Callable[[str], object] | None = None) -> None:
        super().__init__(directory, migrate)
        self._binaries = programs(version)


class PgBouncer(Service):
    """Lends the sessions of a server for one transaction at a time; so few that they go from hand to hand."""

    def __init__(self, directory: Path, server: Postgres) -> None:
        super().__init__(directory)
        self._server = server
        self._port = free_port()

    def url(self, database: str) -> str:
        """Return the URL of a database, through the pooler."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def _launch(self) -> GuardedProcess:
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host={self._server._sockets} port=5432 user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self._port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n"
        )
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        # Neither does it run as root, nor would the server's socket let another user in.
        user = self._server._system_user
        if user:
            configuration.chmod(0o644)
        return GuardedProcess(
            "PgBouncer",
            [str(program), str(configuration)],
            self.directory / "pgbouncer.log",
            stop_signal=signal.SIGINT,
            user=user,
        )

    def _ready(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def need(program: str, how: str) -> None:
    """Skip the test, or fail it in continuous integration, if a program is missing; ``how`` it is installed."""
    if shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"):
        return
    message = f"{program} is not installed: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
