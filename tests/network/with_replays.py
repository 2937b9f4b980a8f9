"""`cds-service` with the tests' memory of used tokens, for tests of the service as it is really served."""

from __future__ import annotations

import os
from functools import partial

import cds_service.serve
from cds_service.__main__ import main
from cds_service.web import create_app
from tests.network.replays import TestReplays

if __name__ == "__main__":
    url = os.environ["CDS_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    cds_service.serve.create_app = partial(create_app, replays=TestReplays(url))  # type: ignore[attr-defined]
    main(prog_name="cds-service")
