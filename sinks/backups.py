"""Whether the database is kept twice: labels are people's work and cannot be computed again."""

from sinks.database import Connection
from sinks.statements import statement

__all__ = ["are_there_copies"]


def are_there_copies(connection: Connection) -> bool:
    """Tell whether the server archives its log or feeds a standby; dumps made by others do not show."""
    row = connection.execute(statement("backups", "copies")).fetchone()
    return row is not None and bool(row[0])
