"""Pictures from words, painted by a provider that speaks OpenAI's images API."""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import structlog

from app.adapters.fetching.http_client import Deadline, HttpClient
from app.adapters.fetching.origins import Url
from app.errors import AppError, BadRequest, DependencyDown, Overloaded, Unprocessable

log = structlog.get_logger()

ANSWER_SECONDS = 60
ANSWER_BYTES = 40 * 1024 * 1024
"""Eight megapixels are 25 MB where nothing compresses them, and base64 adds a third."""
SHOWN_CHARACTERS = 300
ALIASES = ("sdxl", "flux")
"""Names that clients of such APIs ask for. They stand for the default where no model has that
name."""
LONGEST_RETRY_SECONDS = 300
USUAL_RETRY_SECONDS = 30
PROMPT_REFUSED = frozenset(
    {"content_policy_violation", "moderation_blocked", "content_filter", "safety_violation"}
)
ACCOUNT_EXHAUSTED = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""Codes that come with the status of a client's fault or of too many requests, but mean that the
operator has not paid."""


@dataclass(frozen=True)
class ImagePrompt:
    """What to paint: ``prompt``, without what ``negative_prompt`` names. The same ``seed`` makes
    the same picture.

    ``model`` None is the painter's default.
    """

    prompt: str
    negative_prompt: str | None = None
    seed: int | None = None
    model: str | None = None


@dataclass(frozen=True)
class Answer:
    status: int
    retry_after: str
    content: bytes


class Painter:
    """``POST {base_url}/images/generations``, as OpenAI documents it and many others offer it.

    ``negative_prompt`` and ``seed`` are not OpenAI's own: LocalAI, Together and others take them,
    so they are sent when they are given, and a provider's refusal of them is passed on. The
    provider chooses size and format: ``response_format``, which some models need to answer in
    base64, is an error to others.

    ``api_key`` may be empty. ``models`` are those that may be asked for, the default first, each
    under the provider's name, or as ``alias=name``. ``fetch`` downloads a URL into a new file, for
    providers that answer with one. ``seconds`` are all that one answer may take.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        models: Sequence[str],
        fetch: Callable[[str, Path], None],
        *,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        named = [model.partition("=") for model in models]
        known = {alias: name or alias for alias, _, name in named}
        self._default = next(iter(known.values()))
        self._models = known | {alias: known.get(alias, self._default) for alias in ALIASES}
        self._endpoint = Url.read(f"{base_url}/images/generations")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._fetch = fetch
        self._seconds = seconds
        self._client = HttpClient()

    def paint(self, wanted: ImagePrompt, target: Path) -> None:
        """Have it painted into the new file ``target``, in whatever format the provider likes.

        The file must be examined like any upload. Raises BadRequest for a model that is
        not offered, Unprocessable where the provider refuses, Overloaded where it wants to be asked
        later, and DependencyDown.
        """
        answer = self._ask(self._body(wanted))
        if answer.status != 200:
            raise _refusal(answer)
        match _parsed(answer.content):
            case {"data": [{"b64_json": str(text)}, *_]} if text:
                _write(target, _decoded(text))
            case {"data": [{"url": str(url)}, *_]} if url:
                self._download(url, target)
            case _:
                raise _down("no picture in the answer")

    def _body(self, wanted: ImagePrompt) -> bytes:
        model = self._default if wanted.model is None else self._models.get(wanted.model)
        if model is None:
            problem = f"model: must be one of {', '.join(self._models)}"
            raise BadRequest(problem, errors=[problem])
        asked = {
            "model": model,
            "prompt": wanted.prompt,
            "n": 1,
            "negative_prompt": wanted.negative_prompt,
            "seed": wanted.seed,
        }
        return json.dumps(
            {name: value for name, value in asked.items() if value is not None}
        ).encode()

    def _ask(self, body: bytes) -> Answer:
        """The provider's answer. A redirect is not followed: it would carry the key elsewhere."""
        deadline = Deadline(self._seconds)
        try:
            addresses = self._client.addresses(self._endpoint.hostname, deadline)
            with self._client.request(
                self._endpoint, addresses, deadline, self._headers, body
            ) as response:
                content = response.read(ANSWER_BYTES + 1)
        except (OSError, HTTPException) as error:
            raise _down(type(error.__cause__ or error).__name__) from error
        if len(content) > ANSWER_BYTES:
            raise _down("an answer of too many bytes")
        return Answer(response.status, response.getheader("Retry-After", ""), content)

    def _download(self, url: str, target: Path) -> None:
        try:
            self._fetch(url, target)
        except AppError as error:
            # It speaks of a URL that the client never sent.
            raise _down(f"its URL: {error.code}") from error


def _parsed(content: bytes) -> object:
    try:
        parsed: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _down("an answer that is no JSON") from error
    return parsed


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise _down("a picture that is no base64") from error


def _write(target: Path, content: bytes) -> None:
    with ExitStack() as undo:
        with target.open("xb") as file:
            undo.callback(target.unlink)
            file.write(content)
        undo.pop_all()  # once it is closed: what a full disk refuses shows only then


def _refusal(answer: Answer) -> AppError:
    """What a status other than 200 means for the client."""
    code, message = _told(answer.content)
    if code not in ACCOUNT_EXHAUSTED:
        if answer.status in (400, 422) and code in PROMPT_REFUSED:
            return Unprocessable(
                f"The provider does not paint this prompt; word it differently. It says: {message}"
            )
        if answer.status in (400, 422):
            return Unprocessable(f"The provider does not take these fields. It says: {message}")
        if answer.status == 429:
            wait = _seconds_of(answer.retry_after)
            return Overloaded(
                f"The provider has too much to do. Repeat the request in {wait} s.",
                retry_after=wait,
            )
    return _down(f"status {answer.status}")


def _told(content: bytes) -> tuple[str | None, str]:
    """The code and the message in an error's body, in OpenAI's shape or one of those that others
    use."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    match body:
        case {"error": {"message": str(message), **rest}}:
            code = rest.get("code") or rest.get("type")
            return code if isinstance(code, str) else None, _shown(message)
        case {"error": str(message)} | {"message": str(message)} | {"detail": str(message)}:
            return None, _shown(message)
    return None, "nothing."


def _shown(message: str) -> str:
    """One line of printable characters, cut where it is long."""
    line = "".join(one for one in " ".join(message.split()) if one.isprintable())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"


def _seconds_of(retry_after: str) -> int:
    """Within bounds. Where the header is missing or a date, a usual time."""
    seconds = int(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else USUAL_RETRY_SECONDS
    return min(max(seconds, 1), LONGEST_RETRY_SECONDS)


def _down(reason: str) -> DependencyDown:
    # The answer's own text may quote the key.
    log.error("painter.down", reason=reason)
    return DependencyDown(
        "The provider of pictures does not answer as it should. Repeat the request shortly."
    )
