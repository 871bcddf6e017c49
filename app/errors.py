"""The errors that reach a user: a status, a stable code, a sentence to act on.

Every refusal is an ``AppError``. Services and imaging raise them and ``web.errors`` renders them.
Any other exception is a defect and is answered with a generic 500. Each code has a page at
``/docs/errors/<code>`` that shows ``title`` and ``advice``.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self


class AppError(Exception):
    """A refusal with its HTTP status and machine-readable code.

    ``message`` is shown to the caller. ``errors`` lists single problems as ``field: problem``;
    ``headers`` are added to the answer (``Retry-After``, ``WWW-Authenticate``). Picklable, so that
    it can be passed between processes.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something broke on our side"
    advice: ClassVar[str] = (
        "Retry with exponential backoff. If it stays, tell support the request id; it finds the "
        "log line."
    )

    def __init__(
        self, message: str, *, errors: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.errors = list(errors)
        self.headers = dict(headers or {})

    @classmethod
    def catalogue(cls) -> dict[str, type["AppError"]]:
        """Return this class and its subclasses by code; where two share a code, the more general
        one."""
        found: dict[str, type[AppError]] = {}
        for kind in cls.__subclasses__():
            found |= kind.catalogue()
        return found | {cls.code: cls}


class BadRequest(AppError):
    status = 400
    code = "bad_request"
    title = "The request is malformed"
    advice = (
        "Read `errors`: each entry names a field and what is wrong with it. Correct them and "
        "send it again."
    )

    @classmethod
    def of_fields(cls, problems: Sequence[str], several: str) -> Self:
        """A refusal for ``field: problem`` entries, whose message is the only one, or ``several``
        if there are more."""
        return cls(problems[0] if len(problems) == 1 else several, errors=problems)


class Unauthenticated(AppError):
    status = 401
    code = "unauthenticated"
    title = "The API key is missing or not valid"
    advice = (
        "Send the key as `Authorization: Bearer <key>` or as `x-api-key: <key>`. Check that it was "
        "copied whole, that it was not revoked or rotated, and that its prefix (live or test) is "
        "the one it was issued with."
    )

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})

    def __reduce__(self) -> tuple[type["Unauthenticated"], tuple[str]]:
        return type(self), (self.message,)


class NotSignedIn(AppError):
    status = 401
    code = "not_signed_in"
    title = "Nobody is signed in"
    advice = "Sign in and open the page again. A session ends after a while, or when it is ended."


class QuotaExceeded(AppError):
    status = 402
    code = "quota_exceeded"
    title = "The plan's monthly images or storage are used up"
    advice = (
        "Upgrade the plan with POST /billing/checkout, or wait for the first day of the next month "
        "(UTC). Where a payment has failed, POST /billing/portal leads to the page that takes it."
    )


class CapReached(AppError):
    status = 402
    code = "cap_reached"
    title = "A spend cap is reached"
    advice = (
        "The organization gave itself, or this key, a ceiling of live images a month. An owner of "
        "the organization can raise it or take it away on the usage page of the dashboard; else it "
        "starts anew on the first day of the next month (UTC). Test keys are not concerned."
    )


class BatchCapReached(CapReached):
    """As clients of ``/compress`` know it: a limit of the month is 429 there."""

    status = 429


class UpgradeRequired(AppError):
    status = 402
    code = "upgrade_required"
    title = "The plan does not include this"
    advice = (
        "Upgrade the plan with POST /billing/checkout; a test key may try the workspace API on any "
        "plan. Where a payment has failed, POST /billing/portal leads to the page that takes it."
    )


class Forbidden(AppError):
    status = 403
    code = "forbidden"
    title = "The key may not do this"
    advice = (
        "Use a key with the scope that the message names: `read` for GET, `write` for everything "
        "else. A signed URL is valid as it was given and until it expires: ask for a new one."
    )


class RoleTooLow(Forbidden):
    code = "role_too_low"
    title = "Your role does not include this"
    advice = "Ask an admin or the owner of the organization to do it, or to change your role."


class ViewOnly(Forbidden):
    code = "view_only"
    title = "Staff who look at an organization's pages change nothing"
    advice = "Leave the organization's pages, and do it in the staff console, with a reason."

    def __init__(
        self, message: str = "You look at these pages as staff, so you can change nothing here."
    ) -> None:
        super().__init__(message)


class EmailUnconfirmed(Forbidden):
    code = "email_unconfirmed"
    title = "Nobody has confirmed the account's e-mail address"
    advice = (
        "Open the link in the mail that was sent when the account was opened, or ask for another "
        "one at `/claim`. The live keys work again at once; test keys work meanwhile."
    )


class Suspended(Forbidden):
    code = "suspended"
    title = "The organization is suspended"
    advice = (
        "The message tells why. Nothing was deleted, and members can still look at the pages of "
        "the organization. Write to us to have it restored: then all keys work again as they are."
    )


class Blocked(Forbidden):
    code = "blocked"
    title = "Requests from your network are refused"
    advice = (
        "Somebody has misused the service from your address or network. Send the request from "
        "another network, or ask support to look at it: the request id says what it was."
    )


class MailDomainBlocked(Forbidden):
    code = "mail_domain_blocked"
    title = "No new accounts are opened for addresses at this domain"
    advice = "Use an e-mail address at another domain. Accounts that are there already go on."


class ReauthenticationNeeded(Forbidden):
    code = "reauthentication_needed"
    title = "Show once more that it is you"
    advice = (
        "Changes like this one ask for your password or passkey again when you last showed it more "
        "than 10 minutes ago. Sign in again on the page that opens, then repeat the change."
    )


class CrossSite(Forbidden):
    code = "cross_site"
    title = "The request comes from another site"
    advice = "Pages of other sites can't change anything here. Do it on our own page."


class NotFound(AppError):
    status = 404
    code = "not_found"
    title = "There is nothing here"
    advice = (
        "Check the path and the id. A key sees its own workspace only, and test keys only what "
        "test keys made."
    )


class MethodNotAllowed(AppError):
    status = 405
    code = "method_not_allowed"
    title = "The path exists, but not with this method"
    advice = "The `Allow` header lists the methods that the path takes."


class RequestTimeout(AppError):
    status = 408
    code = "request_timeout"
    title = "The request did not come in time"
    advice = (
        "Send the request again, without long pauses and at 2 kB a second or more. Nothing was "
        "charged."
    )


class Conflict(AppError):
    status = 409
    code = "conflict"
    title = "It exists already"
    advice = (
        "Use what exists, or take away what is in the way: the message names it. A lost key is "
        "replaced in the dashboard or by POST /auth/rotate-key."
    )


class IdempotencyConflict(Conflict):
    code = "idempotency_in_flight"
    title = "The first request with this Idempotency-Key is still running"
    advice = (
        "Wait for `Retry-After` seconds and repeat the request as it is: it will get the first "
        "one's answer."
    )


class TooLarge(AppError):
    status = 413
    code = "too_large"
    title = "The request or one of its files is too large"
    advice = (
        "Send fewer or smaller files, or upgrade the plan: the message names the limit that was "
        "passed."
    )


class UnsupportedMediaType(AppError):
    status = 415
    code = "unsupported_media_type"
    title = "The endpoint does not take this Content-Type"
    advice = "Send the Content-Type that the message names."


class Unprocessable(AppError):
    status = 422
    code = "unprocessable"
    title = "The request is well-formed but cannot be carried out"
    advice = "Read the message and `errors`. Nothing was charged and nothing was stored."


class IdempotencyMismatch(Unprocessable):
    code = "idempotency_mismatch"
    title = "This Idempotency-Key was used for a different request"
    advice = (
        "Make a new key for each new request; repeat a key only to repeat the very same request."
    )


class RateLimited(AppError):
    status = 429
    code = "rate_limited"
    title = "Too many requests"
    advice = (
        "Wait for `Retry-After` seconds. The `RateLimit` headers of every answer tell how many "
        "requests are left. Where the message says that the test keys' images of a day are used "
        "up, go on after midnight (UTC), or with a live key."
    )


class TrialOver(RateLimited):
    code = "trial_over"
    title = "The files that one may try without an account are used up for today"
    advice = "Open a free account and go on at once, or come back after midnight (UTC)."


class MonthlyLimitReached(AppError):
    status = 429
    code = "monthly_limit_reached"
    title = "The plan's monthly images are used up"
    advice = (
        "Upgrade the plan, send fewer files, or wait for the first day of the next month (UTC)."
    )


class NotConfigured(AppError):
    status = 501
    code = "not_configured"
    title = "This server does not offer the feature"
    advice = "The operator of this server has not configured a provider for it."


class Overloaded(AppError):
    status = 503
    code = "overloaded"
    title = "The server is busy"
    advice = "Repeat the request after `Retry-After` seconds. Nothing was charged."

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)})


class DependencyDown(Overloaded):
    code = "dependency_down"
    title = "A part of the server does not answer"
    advice = "Repeat the request after `Retry-After` seconds. Nothing was charged."


class Maintenance(Overloaded):
    code = "maintenance"
    title = "Nothing can be changed during maintenance"
    advice = (
        "Repeat the request after `Retry-After` seconds. Reads and signing in go on meanwhile. "
        "Nothing was charged."
    )
