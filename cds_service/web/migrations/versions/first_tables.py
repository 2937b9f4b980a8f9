"""The first tables: feedback, dismissals, replays.

Written out instead of taken from tables.py: a revision must stay what it was when the tables change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the three tables and their indexes."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("received_at", moment, nullable=False, index=True),
        sa.Column("outcome_at", moment, nullable=False),
        sa.Column("tenant_hash", sa.String(32), nullable=False),
        sa.Column("card", sa.String(8)),
        sa.Column("content_release", sa.Integer),
        sa.Column("suggestions", sa.JSON, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason_code", sa.String(64)),
        sa.Column("reason_system", sa.String(128)),
        sa.Column("comment", sa.Text),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("verified", sa.Boolean, nullable=False),
    )
    op.create_table(
        "dismissals",
        sa.Column("tenant_hash", sa.String(32), primary_key=True),
        sa.Column("memory", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("expires", moment, nullable=False, index=True),
    )
    op.create_table(
        "replays",
        sa.Column("token", sa.LargeBinary(64), primary_key=True),
        sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    )
