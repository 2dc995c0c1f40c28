"""Which topic a partition's offsets are of: a topic made anew has the same name."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let partitions hold the id that Kafka gave their topic."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
