"""What the daemon's role may do: read and write rows. Tables are made, changed and owned by another role."""

import psycopg
from psycopg import sql

from sinks.database import Connection, faults_as_ours, transaction
from sinks.errors import NotFound
from sinks.schema import metadata

__all__ = ["apply", "needed"]


def needed(connection: Connection, role: str) -> list[str]:
    """Return the statements that grant ``role`` what the daemon and the command line need."""
    name = sql.Identifier(role)
    # Identity columns ask for no right to their sequences.
    tables = sql.SQL(", ").join(sql.Identifier(table) for table in sorted(metadata.tables))
    database, schema = connection.execute("SELECT current_database(), current_schema()").fetchall()[0]
    statements = (
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), name),
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), name),
        sql.SQL("GRANT SELECT ON alembic_version TO {}").format(name),
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(tables, name),
    )
    return [each.as_string(connection) for each in statements]


def apply(connection: Connection, role: str) -> None:
    """Grant it, all or nothing.

    Raises
    ------
    NotFound
        There is no such role.
    NotPermitted
        The tables belong to somebody else.
    """
    try:
        with faults_as_ours(), transaction(connection):
            for each in needed(connection, role):
                connection.execute(each.encode())
    except psycopg.errors.UndefinedObject as error:
        raise NotFound(f"Role {role!r}. Make it with: CREATE ROLE ... LOGIN") from error
