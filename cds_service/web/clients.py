"""The clients that may call: read once at start from the file CDS_JWT_CLIENTS, with every fault at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from cds_service.errors import ContentError, SettingsError
from cds_service.knowledge.files import read_yaml
from cds_service.settings import is_local
from cds_service.web.keys import MOST_BYTES, FetchedKeys, GivenKeys, Key, Keys, is_name, read_key, twice


@dataclass(frozen=True, slots=True)
class Client:
    """One issuer of tokens: its keys, the address its tokens may name for them, and the tenants it speaks for."""

    issuer: str
    jku: str
    keys: Keys
    tenants: frozenset[str]


def _name(value: str) -> None:
    if not is_name(value):
        raise ValidationError("must be printable text of at most 256 characters")


def _key_address(value: str) -> None:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValidationError("must be an https address") from None
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_local(parts.hostname or ""))
    if not safe or not parts.hostname or parts.username is not None or parts.fragment or port == 0:
        raise ValidationError("must be an https address without user or fragment (http for loopback addresses only)")


def _beside(value: str) -> None:
    if not value or Path(value).name != value:
        raise ValidationError("must be the name of a file beside this one")


class _Client(Schema):
    class Meta:
        unknown = RAISE

    issuer = fields.String(required=True, validate=_name)
    jku = fields.String(validate=_key_address)
    keys = fields.List(fields.Raw(), validate=validate.Length(min=1))
    keys_file = fields.String(validate=_beside)
    tenants = fields.List(fields.String(validate=_name), load_default=list)

    @validates_schema(skip_on_field_errors=False)
    def _keys_come_from_one_place(self, values: Mapping[str, Any], **_: Any) -> None:
        if "keys" in values and "keys_file" in values:
            raise ValidationError("cannot stand beside keys: choose one", "keys_file")
        if not {"jku", "keys", "keys_file"} & values.keys():
            raise ValidationError("is missing: give jku, keys or keys_file", "jku")


class _Clients(Schema):
    class Meta:
        unknown = RAISE

    clients = fields.List(fields.Nested(_Client), required=True, validate=validate.Length(min=1))


def read_clients(path: Path) -> Mapping[str, Client]:
    """The clients by issuer. Raises SettingsError naming every fault by its place, never a key or a value."""
    try:
        entries = _Clients().load(_document(path))["clients"]
    except ValidationError as error:
        raise _refusal(_flat(error.messages)) from None
    faults: list[str] = []
    clients: dict[str, Client] = {}
    for position, entry in enumerate(entries):
        where = f"clients[{position}]"
        if entry["issuer"] in clients:
            faults.append(f"{where}.issuer is listed twice")
        clients[entry["issuer"]] = Client(
            entry["issuer"], entry.get("jku", ""), _keys(entry, path, where, faults), frozenset(entry["tenants"])
        )
    if faults:
        raise _refusal(faults)
    return clients


def _document(path: Path) -> Any:
    try:
        return read_yaml(path) or {}
    except ContentError as error:
        # The parser's own words may quote the file; only the line is passed on.
        raise _refusal([f"{error.faults[0].where} is not readable YAML in UTF-8"]) from None


def _refusal(faults: Iterator[str] | list[str]) -> SettingsError:
    return SettingsError("CDS_JWT_CLIENTS has faults: " + "; ".join(faults))


def _flat(messages: Any, where: str = "") -> Iterator[str]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            step = f"[{name}]" if isinstance(name, int) else f".{name}" if where else str(name)
            yield from _flat(inner, where if name == "_schema" else where + step)
    else:
        yield from (f"{where or 'the file'} {_in_a_sentence(str(message))}" for message in messages)


def _in_a_sentence(message: str) -> str:
    return f"({message.rstrip('.')})" if message[:1].isupper() else message


def _keys(entry: Mapping[str, Any], path: Path, where: str, faults: list[str]) -> Keys:
    """Keys given beforehand are used as they are: then nobody is asked for keys, whatever jku says."""
    if "keys" in entry:
        return _given(entry["keys"], f"{where}.keys", faults)
    if "keys_file" in entry:
        return _given(_members(path.parent / entry["keys_file"]), f"{where}.keys_file", faults)
    return FetchedKeys(entry["jku"])


def _members(path: Path) -> list[Any] | None:
    try:
        with path.open("rb") as file:
            members = json.loads(file.read(MOST_BYTES + 1))["keys"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return members if isinstance(members, list) and members else None


def _given(members: list[Any] | None, where: str, faults: list[str]) -> GivenKeys:
    keys: list[Key] = []
    if members is None:
        faults.append(f"{where} is no readable JWK set with keys")
    for position, member in enumerate(members or ()):
        try:
            keys.append(read_key(member))
        except ValueError as error:
            faults.append(f"{where}[{position}] {error}")
    if twice(keys):
        faults.append(f"{where} has a kid more than once")
    return GivenKeys({key.kid: key for key in keys})
