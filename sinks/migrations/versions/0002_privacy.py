"""Privacy: what was forgotten, what was sent again, and an index for everything that retention looks for."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
