"""A PostgreSQL server of our own on a unix socket, and the database that the mesh keeps in it.

Knows how to start and stop the server and how the two services that keep data share one database: a schema
each, roles of their own, no rights on the other's. Tables are the services' business.
"""

import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from deploy.local import cluster
from deploy.local.cluster import SUPERUSER, UNPRIVILEGED_USER
from deploy.local.processes import Child, Command, Report

GATEWAY_ROLE = "acesteps_gateway"
SIGNER_ROLE = "acesteps_signer"
# Owns the signer's schema, so that the role that runs the signer cannot change its history.
SIGNER_OWNER_ROLE = "acesteps_signer_owner"
ROLES = (GATEWAY_ROLE, SIGNER_ROLE, SIGNER_OWNER_ROLE)
# Who owns what; the rights of the role that runs the signer are given by its migrations.
SCHEMAS = {GATEWAY_ROLE: "gateway", SIGNER_OWNER_ROLE: "signer"}

# Roles belong to the server, everything else to the database. Who makes them becomes a member: without, only
# a superuser could give them schemas, and where a PostgreSQL is rented nobody is one.
ROLES_SQL = "".join(
    f"""
DO $$ BEGIN
  CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
ALTER ROLE {role} SET search_path = {"gateway" if role == GATEWAY_ROLE else "signer"};
GRANT {role} TO CURRENT_USER;
"""
    for role in ROLES
)
# The second statement is for a database from the time when one role both owned and ran.
SCHEMAS_SQL = (
    "REVOKE ALL ON SCHEMA public FROM PUBLIC;"
    f"REASSIGN OWNED BY {SIGNER_ROLE} TO {SIGNER_OWNER_ROLE};"
    + "".join(
        f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role};" for role, schema in SCHEMAS.items()
    )
)


@dataclass(frozen=True)
class Database:
    """One database of the mesh and who connects to it how."""

    name: str
    gateway_dsn: str
    # runs the signer
    signer_dsn: str
    # migrates its schema
    signer_owner_dsn: str
    # Sees everything; for tests and people, never for a service.
    superuser_dsn: str


class Postgres:
    """A server. Who may enter its socket's folder (mode 0700) is trusted: there is no password."""

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        report: Report = lambda line: None,
        inherit: Sequence[int] = (),
    ) -> None:
        """Prepares to run the server whose files are in `data_dir`; starts nothing.

        `settings` are PostgreSQL's own (`fsync`, ...); `inherit` are descriptors that it holds while it runs.
        """
        self._data_dir = data_dir.resolve()
        self._socket_folder = cluster.socket_folder(self._data_dir)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_folder),
            "unix_socket_permissions": "0700",
            **(settings or {}),
        }
        argv = [cluster.binary("postgres"), "-D", str(self._data_dir)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        self._child = Child(
            Command(
                name="postgres",
                argv=argv,
                environment=cluster.environment(),
                log_file=self._data_dir.with_name(self._data_dir.name + ".log"),
                is_ready=lambda pid: cluster.status(self._data_dir) == (pid, "ready"),
                # Fast shutdown: SIGTERM would wait for every client to leave.
                stop_signal=signal.SIGINT,
                death_signal=signal.SIGINT,
                root_becomes=UNPRIVILEGED_USER,
                prepare=self._prepare,
                inherit=inherit,
            ),
            report,
        )

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, or None while it is down."""
        return self._child.pid

    @property
    def restarts(self) -> int:
        """How often the server died and was started again."""
        return self._child.restarts

    def start(self) -> None:
        """Starts the server, creating its files if need be, and waits until it takes connections.

        Takes over from a server that outlived its parent: no living one may use the folder.
        Raises ChildError.
        """
        self._child.start()
        try:
            self._child.wait_ready()
        except BaseException:
            self.stop()
            raise

    def dsn(self, role: str, database: str) -> str:
        """A connection URI for asyncpg, psycopg and psql."""
        return f"postgresql://{quote(role)}@/{quote(database)}?host={quote(str(self._socket_folder))}"

    def execute(self, sql: str, database: str = SUPERUSER) -> str:
        """Runs SQL as the superuser and returns the rows as psql prints them. Raises PostgresError."""
        options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
        return cluster.run(cluster.binary("psql"), *options, "-d", self.dsn(SUPERUSER, database), stdin=sql)

    def create_database(self, name: str, template: str | None = None) -> Database:
        """Creates `name` unless it exists, with all roles and their schemas. Repeatable.

        `template`, made by an earlier call, spares a new database all but the copying.
        Raises ValueError for a name that is not a plain lower-case identifier, else PostgresError.
        """
        for identifier in filter(None, (name, template)):
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", identifier):
                raise ValueError(f"database name {identifier!r} must match [a-z][a-z0-9_]{{0,62}}")
        if not self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'").strip():
            self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        # Everybody may connect to a new database: only our two roles shall.
        access = f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;" + "".join(
            f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {role};" for role in ROLES
        )
        self.execute(access if template else ROLES_SQL + SCHEMAS_SQL + access, name)
        return Database(
            name=name,
            gateway_dsn=self.dsn(GATEWAY_ROLE, name),
            signer_dsn=self.dsn(SIGNER_ROLE, name),
            signer_owner_dsn=self.dsn(SIGNER_OWNER_ROLE, name),
            superuser_dsn=self.dsn(SUPERUSER, name),
        )

    def drop_database(self, name: str) -> None:
        """Drops `name` and ends whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def kill(self, signal_number: signal.Signals) -> int:
        """Sends a signal to the postmaster and returns its pid; when it ends, it is started again."""
        return self._child.kill(signal_number)

    def wait_ready(self, after: int | None = None) -> None:
        """Waits until the server takes connections; with `after`, a pid that `kill` gave, its successor."""
        self._child.wait_ready(after)

    def stop(self) -> None:
        """Ends the server: connections are closed, open transactions rolled back."""
        self._child.stop()
        if self._socket_folder != self._data_dir:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def _prepare(self) -> None:
        cluster.create(self._data_dir)
        cluster.end_stale_server(self._data_dir)

    def __enter__(self) -> "Postgres":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, report: Report = lambda line: None
) -> Postgres:
    """A server on `data_dir`, started and ready; see `Postgres`. Raises ChildError or PostgresError."""
    server = Postgres(data_dir, settings=settings, report=report)
    server.start()
    return server
