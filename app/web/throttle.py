"""Slows down guessing of passwords and codes: after ten failures each further one makes the next
attempt wait longer (docs/decisions/029).

The counts are in Redis, so all processes share them. When Redis does not answer, attempts are
refused with 503 (docs/decisions/003).
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

from app.errors import BadRequest, RateLimited
from app.services.accounts import identity
from app.web import limits
from app.web.context import container, now

FREE = 10
"""Failures that cost nothing."""
LONGEST_WAIT = 15 * 60
"""Seconds. The wait begins at one second and doubles with each failure."""
HOUR, DAY = 60 * 60, 24 * 60 * 60
KNOWN_FOR = 90 * DAY
"""Seconds for which a network counts as one of a person's own after they have signed in there."""
MOST_NETWORKS = 100
"""A person's own networks that ``state`` looks at, those of their last sign-ins."""
MAILS_AN_HOUR = 5
MAILS_OF_A_NETWORK = 50
PREFIX = "lightwell:throttle"

SCRIPT = b"""
local now, wait = tonumber(ARGV[1]), 0
for _, key in ipairs(KEYS) do
    local allowed = tonumber(redis.call('hget', key, 'allowed') or '0')
    wait = math.max(wait, allowed - now)
end
if wait > 0 then
    return wait
end
for index, key in ipairs(KEYS) do
    local failures = redis.call('hincrby', key, 'failures', 1)
    if failures >= tonumber(ARGV[2]) then
        local seconds = math.min(2 ^ (failures - tonumber(ARGV[2])), tonumber(ARGV[3]))
        redis.call('hset', key, 'allowed', now + seconds * 1000)
    end
    redis.call('expire', key, ARGV[3 + index])
end
return 0
"""
"""Count an attempt at each key as a failure, unless one of them has to wait: returns for how many
milliseconds. It counts before the password is compared, so that parallel guesses don't pass."""


@dataclass(frozen=True)
class Counted:
    """Failures of one kind: where they were made, how many, and for how many seconds the next
    attempt still waits."""

    where: str
    failures: int
    wait: int


@dataclass(frozen=True)
class Subject:
    """What attempts are counted for. Failures are forgotten ``keep`` seconds after the last one.
    Unless it is ``shared`` among people, one success forgets them too."""

    key: str
    keep: int = DAY
    shared: bool = False


def account(email: str) -> Subject:
    """The account that an address names, if there is one or not. Attempts from each network where
    its owner has signed in are counted on their own, so that strangers can't lock the owner out."""
    known = container().redis.exists(_known(email))
    return Subject(f"account:{_digest(_mailbox(email))}:{_network() if known else 'strangers'}")


def address() -> Subject:
    """The network of the request: /24 in IPv4, /64 in IPv6."""
    return Subject(_network(), keep=HOUR, shared=True)


def session(sign_in_id: str) -> Subject:
    """The password that a session asks for again. Whoever guesses elsewhere can't make it wait."""
    return Subject(f"session:{sign_in_id}")


def code(user_id: str) -> Subject:
    """The one-time and recovery codes of a person who has shown their password."""
    return Subject(f"code:{user_id}")


def link(token: str) -> Subject:
    """The password that a mailed link asks for."""
    return Subject(f"link:{_digest(token)}")


def attempt(*subjects: Subject) -> None:
    """Count an attempt as failed until ``succeeded`` says otherwise. Raises RateLimited while a
    subject has to wait."""
    script = container().redis.register_script(SCRIPT)
    waiting = script(
        [f"{PREFIX}:{subject.key}" for subject in subjects],
        [_milliseconds(), FREE, LONGEST_WAIT, *(subject.keep for subject in subjects)],
    )
    if waiting:
        seconds = math.ceil(int(waiting) / 1000)
        raise RateLimited(
            f"Too many attempts have failed. Try again in {_in_words(seconds)}.",
            headers={"Retry-After": str(seconds)},
        )


def succeeded(*subjects: Subject) -> None:
    """Take the attempt back. In a shared network others may have failed, so their failures stay."""
    for subject in subjects:
        key = f"{PREFIX}:{subject.key}"
        if subject.shared:
            container().redis.hincrby(key, "failures", -1)
            container().redis.hdel(key, "allowed")
        else:
            container().redis.delete(key)


def remember_network(email: str) -> None:
    """Count the network of the request as one of the account's own from now on."""
    networks = _networks(email)
    with container().redis.pipeline() as pipeline:
        pipeline.set(_known(email), 1, ex=KNOWN_FOR)
        pipeline.zadd(networks, {_network(): _milliseconds()})
        pipeline.zremrangebyrank(networks, 0, -1 - MOST_NETWORKS)
        pipeline.expire(networks, KNOWN_FOR)
        pipeline.execute()


def state(email: str, user_id: str) -> list[Counted]:
    """What holds a person up: failures with their address from elsewhere and from each network of
    their own, failures with codes, and mails in this hour."""
    redis, kept = container().redis, _subjects(email, user_id)
    with redis.pipeline() as pipeline:
        for _, key in kept:
            pipeline.hmget(key, "failures", "allowed")
        pipeline.get(_mails(email))
        *counts, mails = pipeline.execute()
    found = [
        Counted(where, int(failures or 0), _seconds_until(int(float(allowed or 0))))
        for (where, _), (failures, allowed) in zip(kept, counts, strict=True)
    ]
    found.append(Counted("mails asked for in this hour", int(mails or 0), 0))
    return [one for one in found if one.failures > 0]


def release(email: str, user_id: str) -> None:
    """Forget all of ``state``. What whole networks have used up stays."""
    keys = [key for _, key in _subjects(email, user_id)]
    container().redis.delete(*keys, _mails(email))


def check_mails() -> None:
    """Count a mail that somebody causes to whatever address: 50 an hour from one network. Raises
    RateLimited."""
    if _count(f"{PREFIX}:mails-from:{_network()}") > MAILS_OF_A_NETWORK:
        raise RateLimited(
            "Too many mails were asked for from your network. Try again in an hour.",
            headers={"Retry-After": str(HOUR)},
        )


def may_mail(email: str, about: str = "account") -> bool:
    """Whether a stranger may cause one more mail to the mailbox of this address: five an hour. What
    it is ``about`` counts on its own, so that no other mails use up those to a forgetful owner."""
    return _count(_mails(email, about)) <= MAILS_AN_HOUR


def _count(key: str) -> int:
    """Count one more in this hour, and return how many there are."""
    with container().redis.pipeline() as pipeline:
        pipeline.set(key, 0, nx=True, ex=HOUR)
        pipeline.incr(key)
        _, count = pipeline.execute()
    return int(count)


def _known(email: str) -> str:
    return f"{PREFIX}:known:{_digest(_mailbox(email))}:{_network()}"


def _networks(email: str) -> str:
    return f"{PREFIX}:networks:{_digest(_mailbox(email))}"


def _mails(email: str, about: str = "account") -> str:
    return f"{PREFIX}:mails:{about}:{_digest(_mailbox(email))}"


def _subjects(email: str, user_id: str) -> list[tuple[str, str]]:
    """Where failures of a person are counted, in words, and by which key."""
    digest = _digest(_mailbox(email))
    known = [_text(one) for one in container().redis.zrange(_networks(email), 0, -1)]
    places = [("passwords from elsewhere", "strangers")]
    places += [(f"passwords from {one.removeprefix('address:')}", one) for one in known]
    kept = [(where, f"{PREFIX}:account:{digest}:{place}") for where, place in places]
    return [*kept, ("codes", f"{PREFIX}:{code(user_id).key}")]


def _text(member: Any) -> str:
    """A member of a set, as the client gives it."""
    return str(member, "ascii")


def _seconds_until(moment: int) -> int:
    """From now to a moment in milliseconds since 1970."""
    return max(0, math.ceil((moment - _milliseconds()) / 1000))


def _mailbox(email: str) -> str:
    """Many addresses name one mailbox, and so one account. What is no address names itself."""
    try:
        return identity.mailbox_of(identity.normalise_email(email))
    except BadRequest:
        return email


def _network() -> str:
    return limits.network(24)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _milliseconds() -> int:
    return int(now().timestamp() * 1000)


def _in_words(seconds: int) -> str:
    if seconds >= 60:
        minutes = math.ceil(seconds / 60)
        return f"{minutes} minutes" if minutes > 1 else "a minute"
    return f"{seconds} seconds" if seconds > 1 else "a second"
