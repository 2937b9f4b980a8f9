"""The public keys of clients: read from JSON Web Keys, given beforehand or fetched from the client's key server."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from cds_service.web.caller import Reason, UnauthenticatedError
from cds_service.web.journal import fields

log = logging.getLogger("cds_service")

KEEP_SECONDS = 600  # a key that its owner withdraws is believed for this long
STALE_SECONDS = 3600  # and for this long when the key server cannot be asked
RETRY_SECONDS = 30  # however many unknown kids come in, a key server is asked once in this time
FETCH_SECONDS = 3.0
MOST_FETCHES = 3  # at once, when earlier ones hang: for longer than FETCH_SECONDS nobody waits for them
MOST_BYTES = 256 * 1024
MOST_KEYS = 100
LONGEST_NAME = 256

# An algorithm fits one kind of key; anything else would let a token choose how its signature is read.
_FITTING: Mapping[tuple[object, object], tuple[str, ...]] = {
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): ("RS384", "RS512", "PS384", "PS512"),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_UNREADABLE = (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, OverflowError)


@dataclass(frozen=True, slots=True)
class Key:
    """One public key and the algorithms it may be used with."""

    kid: str
    algorithms: frozenset[str]
    public: Any


class Keys(Protocol):
    """The keys of one client."""

    def key(self, kid: str) -> Key:
        """The key of that name. Raises UnauthenticatedError when there is none."""
        ...


def is_name(value: object) -> bool:
    """A name as tokens carry them: printable text of a bounded length."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def read_key(jwk: object) -> Key:
    """One JSON Web Key. Raises ValueError saying what is wrong, without any part of the key."""
    if not isinstance(jwk, dict):
        raise ValueError("must be a JSON Web Key")
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not is_name(kid):
        raise ValueError("needs a kid")
    if not _PRIVATE.isdisjoint(jwk):
        raise ValueError("holds a private or shared key: replace it, and give only the public part")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("is not meant for signatures")
    algorithms = _algorithms(jwk)
    try:
        public = PyJWK(jwk, algorithm=algorithms[0]).key
    except _UNREADABLE:
        raise ValueError("is not readable") from None
    if isinstance(public, RSAPublicKey) and not 2048 <= public.key_size <= 8192:
        raise ValueError("must have 2048 to 8192 bits")
    return Key(kid, frozenset(algorithms), public)


def _algorithms(jwk: Mapping[str, object]) -> tuple[str, ...]:
    kind = (jwk.get("kty"), jwk.get("crv"))
    fitting = _FITTING.get(kind, ()) if all(isinstance(part, str | None) for part in kind) else ()
    if not fitting:
        raise ValueError("must be EC on P-384 or P-521, RSA, or OKP on Ed25519")
    chosen = tuple(name for name in fitting if jwk.get("alg", name) == name)
    if not chosen:
        raise ValueError("has an alg that does not fit its kind of key or is not accepted")
    return chosen


def twice(keys: Iterable[Key]) -> frozenset[str]:
    """The kids that more than one key bears: such a name names nothing."""
    return frozenset(kid for kid, count in Counter(key.kid for key in keys).items() if count > 1)


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """Keys that the client and this site exchanged beforehand."""

    keys: Mapping[str, Key]

    def key(self, kid: str) -> Key:
        """The key of that name. Nothing is asked of anybody."""
        if kid not in self.keys:
            raise UnauthenticatedError(Reason.KEY)
        return self.keys[kid]


@dataclass(frozen=True, slots=True)
class _Held:
    keys: Mapping[str, Key]
    since: float


class FetchedKeys:
    """Keys from the key server of one client, kept for a while and asked for again when a new kid turns up.

    The fetch runs in a thread of its own: a server that sends a byte a second, or a name server that never answers,
    holds up one thread and no caller for longer than FETCH_SECONDS.
    """

    def __init__(
        self,
        address: str,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._fetch = fetch or fetch_keys
        self._clock = clock
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._asked: float | None = None
        self._failed = False
        self._asking: list[threading.Thread] = []  # those that have not ended, the newest last

    def key(self, kid: str) -> Key:
        """The key of that name, asking the key server only when what is held does not answer it."""
        held = self._held
        if held is None or kid not in held.keys or self._age(held) > KEEP_SECONDS:
            self._ask()
            held = self._held
        if held is None or self._age(held) > STALE_SECONDS:
            raise UnauthenticatedError(Reason.KEYS_UNAVAILABLE)
        if kid not in held.keys:
            raise UnauthenticatedError(Reason.KEYS_UNAVAILABLE if self._failed else Reason.KEY)
        return held.keys[kid]

    def _age(self, held: _Held) -> float:
        return self._clock() - held.since

    def _ask(self) -> None:
        """Ask the key server unless that was done lately, and wait for its answer for a bounded time."""
        with self._lock:
            self._asking = [thread for thread in self._asking if thread.is_alive()]
            due = self._asked is None or self._clock() - self._asked >= RETRY_SECONDS
            if due and len(self._asking) < MOST_FETCHES:
                self._asked = self._clock()
                self._asking.append(threading.Thread(target=self._refresh, args=(self._asked,), daemon=True))
                self._asking[-1].start()
            asking, asked = self._asking[-1:], self._asked
        for newest in asking:
            newest.join(max(0.0, (asked or 0.0) + FETCH_SECONDS - self._clock()))

    def _refresh(self, asked: float) -> None:
        keys = None
        try:
            keys = _readable(self._fetch(self._address))
        except Exception as error:  # whatever a key server does, keys are merely unavailable
            log.warning("keys not fetched", extra=fields(kind=type(error).__name__))
        with self._lock:
            if self._held is not None and self._held.since > asked:
                return  # a fetch that hung for long: a later one has answered
            self._failed = keys is None
            if keys is not None:
                self._held = _Held(keys, asked)


def _readable(body: bytes) -> Mapping[str, Key]:
    """The usable keys of a JWK set. What we cannot use is passed over: sets hold keys for other purposes too."""
    document = json.loads(body)
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list) or len(members) > MOST_KEYS:
        raise ValueError("no JWK set")
    keys = []
    for member in members:
        try:
            keys.append(read_key(member))
        except ValueError:
            continue
    ambiguous = twice(keys)
    return {key.kid: key for key in keys if key.kid not in ambiguous}


def fetch_keys(address: str) -> bytes:
    """The body of a JWK set: no redirect, no proxy of the environment, bounded in time and size."""
    until = time.monotonic() + FETCH_SECONDS
    # The authorities of the system, not those of a library: hospitals run their own.
    with (
        httpx.Client(
            verify=ssl.create_default_context(), trust_env=False, follow_redirects=False, timeout=FETCH_SECONDS
        ) as client,
        client.stream("GET", address, headers={"Accept": "application/json", "Accept-Encoding": "identity"}) as answer,
    ):
        if answer.status_code != 200 or answer.headers.get("Content-Encoding", "identity") != "identity":
            raise ValueError("no JWK set")
        body = b""
        for part in answer.iter_raw():
            body += part
            if len(body) > MOST_BYTES or time.monotonic() > until:
                raise ValueError("the JWK set is too large or too slow")
        return body
