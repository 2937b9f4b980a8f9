"""Applications that know their clients by tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flask import Flask

from cds_service.web.caller import Replays
from tests.applications import application
from tests.network.signing import ISSUER, PUBLIC_URL, public_jwk
from tests.served import SERVICE as SERVICE


def clients_file(folder: Path, *clients: dict[str, Any]) -> Path:
    """A file of clients. JSON is YAML."""
    file = folder / "clients.yaml"
    file.write_text(json.dumps({"clients": clients}), encoding="utf-8")
    return file


def given(*keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The entry of a client whose keys were exchanged beforehand."""
    return {"issuer": ISSUER, "keys": list(keys) or [public_jwk("first")]} | more


def by_token(folder: Path, *clients: dict[str, Any], replays: Replays | None = None, **settings: str) -> Flask:
    """An application that knows its clients by their tokens."""
    return application(
        replays,
        CDS_AUTH="jwt",
        CDS_DATABASE_URL=f"sqlite:///{folder}/store.sqlite",
        CDS_PUBLIC_URL=PUBLIC_URL,
        CDS_JWT_CLIENTS=str(clients_file(folder, *(clients or (given(),)))),
        **settings,
    )
