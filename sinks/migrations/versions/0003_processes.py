"""Processes and how they are, and how far each partition of Kafka reaches."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of processes; let partitions hold their high watermark."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
