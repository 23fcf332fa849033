"""How often somebody may call, and how often they may guess a password.

Counted in Redis over a sliding minute: by user for who has shown who they are (a user's tokens share one allowance, so
that more tokens gain nothing), else by address. Researchers and admins have no limit. While Redis is away the API
answers as if nobody had one, but checks no password: guessing without end would be worse than signing in a little
later. A limit of 0 means none.
"""

import logging
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from math import ceil
from typing import NamedTuple, NoReturn, Protocol

from flask import Flask, Response, current_app, g, request
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis, RedisError
from werkzeug.exceptions import HTTPException

from app.clients import asking_network
from app.config import Config
from app.errors import refuse
from sql import Row

log = logging.getLogger(__name__)

_PREFIX = "almanac:limit"
_TIMEOUT_S = 0.5
_LEFT_ALONE_S = 5  # after an error: a Redis that does not answer must not slow down every request
_KNOWN_FOR_S = 30 * 86400
_RESETS_AN_HOUR = 5  # mails to one account
# What the operator's own probes and broker call, and the files of a page: one look at the explorer takes a dozen.
_FREE = {"health", "static", "forwarding.may_subscribe"}
# Blueprints and operations whose POST is counted as a sign-in is, by address: each makes something for anybody.
_STRICT = {"accounts.sign_up", "onboarding", "password_resets"}


class Asker(Protocol):
    """What we need to know of somebody who has shown who they are."""

    @property
    def user(self) -> Row: ...


class _Window(NamedTuple):
    """What is left of a limit: so many calls, more in so many seconds."""

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class RateLimits:
    """The counters in Redis. Every question may raise RedisError."""

    def __init__(self, config: Config) -> None:
        storage = RedisStorage(
            config.redis_url, key_prefix=_PREFIX, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S
        )
        self._strategy = SlidingWindowCounterRateLimiter(storage)
        self._redis = Redis.from_url(config.redis_url, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S)
        self._left_alone_until = 0.0
        self.anonymous = RateLimitItemPerMinute(config.rate_limit_anonymous)
        self.token = RateLimitItemPerMinute(config.rate_limit_token)
        self.sign_in = RateLimitItemPerMinute(config.rate_limit_sign_in)
        self.resets = RateLimitItemPerHour(_RESETS_AN_HOUR if config.rate_limit_sign_in else 0)

    def take(self, item: RateLimitItem, *key: str) -> _Window | None:
        """Count a call and return what is left; refuse it with 429 where nothing is. None: there is no limit."""
        return self._ask(item, key, self._strategy.hit)

    def check(self, item: RateLimitItem, *key: str) -> None:
        """Refuse a call with 429 where nothing is left, without counting it."""
        self._ask(item, key, self._strategy.test)

    def note(self, *key: str) -> None:
        """Remember for 30 days that a login was used from an address."""
        if self.sign_in.amount:
            self._redis.set(self._noted_as(key), 1, ex=_KNOWN_FOR_S)

    def noted(self, *key: str) -> bool:
        return bool(self.sign_in.amount and self._redis.exists(self._noted_as(key)))

    @staticmethod
    def _noted_as(key: tuple[str, ...]) -> str:
        return "/".join((f"{_PREFIX}:known", *key))

    def _ask(self, item: RateLimitItem, key: tuple[str, ...], ask: Callable[..., bool]) -> _Window | None:
        if not item.amount:
            return None
        if time.monotonic() < self._left_alone_until:
            raise RedisError("did not answer a moment ago")
        try:
            allowed = ask(item, *key)
            reset_at, remaining = self._strategy.get_window_stats(item, *key)
        except RedisError as error:
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
            log.warning("no rate limits: Redis does not answer", extra={"error": str(error)})
            raise
        window = _Window(item.amount, remaining, max(1, ceil(reset_at - time.time())))
        if not allowed:
            _too_many(item, window._replace(remaining=0))
        return window


def init_app(app: Flask, config: Config, who: Callable[[], Asker | None]) -> None:
    """Limit all requests of an app; `who` returns who is asking, or raises HTTPException for a bad token."""
    app.extensions["rate_limits"] = RateLimits(config)
    app.before_request(lambda: _limit(who))
    app.after_request(_show)


def refuse_guesses(login: str) -> None:
    """Refuse to check a password after too many wrong ones, or without Redis.

    Wrong ones from this address count, and those for this login: from all addresses together, so that many guess no
    faster than one; but where the login has been used before they are counted alone, so that no stranger keeps its
    owner out (OWASP's device cookies, for clients that keep none).
    """
    try:
        for key in _guesses(login):
            _limits().check(_limits().sign_in, "guess", *key)
    except RedisError:
        refuse(503, "nobody can sign in right now; try again in a minute", headers={"Retry-After": "60"})


def count_wrong_guess(login: str) -> None:
    """Count a wrong password; who is over the limit thereby learns so at the next attempt."""
    try:
        for key in _guesses(login):
            _limits().take(_limits().sign_in, "guess", *key)
    except (RedisError, HTTPException):
        return


def trust_address(*logins: str) -> None:
    """Note that these logins of one account were used from this address, with the right password."""
    try:
        for login in logins:
            _limits().note(*_whence(login))
    except RedisError:
        return


def _guesses(login: str) -> Iterator[tuple[str, ...]]:
    """What a wrong password for this login, from this address, is counted by."""
    yield (asking_network(),)
    yield _whence(login) if _limits().noted(*_whence(login)) else (_fingerprint(login),)


def _whence(login: str) -> tuple[str, str]:
    return _fingerprint(login), asking_network()


def limit_resets(login: str) -> None:
    """Refuse with 429 to send ever more mails to one account, whether or not there is one."""
    _limits().take(_limits().resets, "reset", _fingerprint(login))


def _limits() -> RateLimits:
    limits: RateLimits = current_app.extensions["rate_limits"]
    return limits


def _limit(who: Callable[[], Asker | None]) -> None:
    if not _FREE.isdisjoint((request.blueprint, request.endpoint)):
        return
    limits = _limits()
    try:
        asker = _quietly(who)
        if asker is None:
            g.rate = limits.take(limits.anonymous, "address", asking_network())
        elif asker.user["role"] == "citizen":
            g.rate = limits.take(limits.token, "user", str(asker.user["id"]))
        if request.method == "POST" and not _STRICT.isdisjoint((request.blueprint, request.endpoint)):
            g.rate = limits.take(limits.sign_in, str(request.blueprint), asking_network())
    except RedisError:
        return


def _quietly(who: Callable[[], Asker | None]) -> Asker | None:
    """A token that is no good is the view's to refuse, where it needs one: here its bearer is nobody."""
    try:
        return who()
    except HTTPException:
        return None


def _show(answer: Response) -> Response:
    window: _Window | None = g.get("rate")
    if window is not None:
        answer.headers.extend(window.headers())
    return answer


def _too_many(item: RateLimitItem, window: _Window) -> NoReturn:
    g.pop("rate", None)
    per = item.GRANULARITY.name
    message = f"too many requests: {item.amount} a {per} are allowed; try again in {window.reset_s} s"
    refuse(429, message, headers={**window.headers(), "Retry-After": str(window.reset_s)})


def _fingerprint(login: str) -> str:
    return sha256(login.lower().encode()).hexdigest()
