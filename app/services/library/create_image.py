"""Creates images from a client's file, a URL, a prompt or other images. The result is an asset like
any other.

Each created image counts as usage, originals too; uploads to the workspace don't.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from sqlalchemy import delete, select

from app.adapters.fetching.fetcher import Fetcher
from app.adapters.painter import ImagePrompt, Painter
from app.errors import NotConfigured, NotFound, Overloaded, TooLarge, Unprocessable
from app.extensions import transaction
from app.imaging import Derivation, Format, Painting, Transform, Turn, UnsupportedImage
from app.imaging.errors import UNSUPPORTED
from app.models import Actor, AllowedHost, Asset, Origin, Upload
from app.services import idempotency
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.filenames import Names, clean_name
from app.services.idempotency import RequestClaim
from app.services.library import ingest
from app.services.library.assets import Label
from app.services.library.images import ImageFile
from app.services.library.ingest import ExaminedFile
from app.services.library.provenance import Provenance
from app.services.processing_context import ProcessingContext
from app.services.usage import reservations
from app.services.usage.reservations import Reservation

PAINTED_TRANSFORM = Transform(Format.JPEG, quality=90)
SEEDS = 2**32
Result = TypeVar("Result")
Rest = ParamSpec("Rest")


@dataclass(frozen=True)
class ImageRequest:
    """The principal who asks for an image, its name, and how many images it counts as.

    ``request`` may be repeated: it pays only once and makes its image only once.
    """

    principal: Principal
    name: str
    request: RequestClaim | None = None
    images: int = 1

    @property
    def actor(self) -> Actor:
        return self.principal.actor


def once_per_request(
    make: Callable[Concatenate[ImageRequest, Rest], Asset],
) -> Callable[Concatenate[ImageRequest, Rest], Asset]:
    """Return the image that an earlier attempt at the same request made, if it still exists;
    otherwise make it."""

    @wraps(make)
    def made(job: ImageRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> Asset:
        with transaction(*job.principal.partition) as session:
            earlier = session.scalar(
                select(Asset).where(Asset.id == idempotency.result_of(session, job.request))
            )
        return earlier or make(job, *args, **kwargs)

    return made


@once_per_request
def from_upload(
    job: ImageRequest, path: Path, original_name: str, context: ProcessingContext
) -> Asset:
    """Create an image from a client's file, unchanged. Raises QuotaExceeded, ImagingError."""
    with _begin(job, Provenance(job.actor, Origin.UPLOAD), context) as creation:
        return creation.add_file(path, original_name)


@once_per_request
def from_url(job: ImageRequest, url: str, fetcher: Fetcher, context: ProcessingContext) -> Asset:
    """Create an image from a URL. Raises as ``from_upload`` and as ``Fetcher.fetch``."""
    with transaction(*job.principal.partition) as session:
        hosts = session.scalars(select(AllowedHost.host)).all()
    with _begin(job, Provenance(job.actor, Origin.URL), context) as creation:
        path = creation.folder / "original"
        fetcher.fetch(url, path, most_bytes=job.principal.allowance.file_bytes, hosts=hosts)
        return creation.add_file(path, clean_name(unquote(urlsplit(url).path)))


@once_per_request
def from_published(job: ImageRequest, image: ImageFile, context: ProcessingContext) -> Asset:
    """Create an image from an image that this server publishes. Raises as ``from_upload``,
    TooLarge, and Unprocessable if it was deleted."""
    most = job.principal.allowance.file_bytes
    if image.size > most:
        problem = f"url: the file is larger than {most // MEGABYTE} MB, the most that is allowed"
        raise TooLarge(problem, errors=[problem])
    with _begin(job, Provenance(job.actor, Origin.URL), context) as creation:
        path = creation.folder / "original"
        try:
            context.storage.fetch(image.storage_key, path)
        except FileNotFoundError:
            raise Unprocessable(
                "url: the image was deleted", errors=["url: the image was deleted"]
            ) from None
        return creation.add_file(path, Names().unique(image.name, image.extension))


@once_per_request
def from_prompt(
    job: ImageRequest, wanted: ImagePrompt, painter: Painter | None, context: ProcessingContext
) -> Asset:
    """Create an image from a prompt: by the provider, or with a test key by the built-in painter.

    Raises NotConfigured without a provider, QuotaExceeded, and as ``Painter.paint``.
    """
    if job.principal.is_live and painter is None:
        raise NotConfigured(
            "This server has no provider that paints images. With a test key there are samples."
        )
    with _begin(job, Provenance(job.actor, Origin.PROMPT), context) as creation:
        path = creation.folder / "original"
        if job.principal.is_live and painter:
            painter.paint(wanted, path)
            return creation.add_file(path, job.name)
        seed = secrets.randbelow(SEEDS) if wanted.seed is None else wanted.seed
        painting = Painting(wanted.prompt, wanted.negative_prompt or "", seed)
        creation.outcome(context.imaging.paint(path, painting, job.principal.org_id))
        return creation.derive(path, job.name, PAINTED_TRANSFORM)


@once_per_request
def from_image(
    job: ImageRequest,
    image: Asset,
    wanted: Transform,
    context: ProcessingContext,
    *,
    operations: Sequence[dict[str, Any]],
    layers: Mapping[str, Asset] | None = None,
) -> Asset:
    """Create an image from ``image`` and the ``layers`` of a watermark. ``operations`` are what
    ``wanted`` does, as the API writes it.

    Raises QuotaExceeded, ImagingError, NotFound where an image was deleted meanwhile.
    """
    made = Provenance(job.actor, Origin.IMAGE, image.id, operations)
    with _begin(job, made, context) as creation:
        source = creation.fetched(image)
        files = {layer_id: creation.fetched(layer) for layer_id, layer in (layers or {}).items()}
        return creation.derive(source, image.original_name, wanted, files)


@contextmanager
def _begin(
    job: ImageRequest, provenance: Provenance, context: ProcessingContext
) -> Iterator["_Creation"]:
    """Reserve the job's images and open its folder. The reservation is released if the block
    fails."""
    with transaction(*job.principal.partition) as session:
        reference = job.request.id if job.request else None
        reservation = reservations.reserve(
            session, job.principal, "image", job.images, context.clock(), reference
        )
    try:
        with context.folder() as folder:
            yield _Creation(job, provenance, reservation, folder, context)
    except BaseException:
        with transaction(*job.principal.partition) as session:
            reservations.release(session, reservation)
        raise


@dataclass(frozen=True)
class _Creation:
    """One job, with the images reserved for it and a folder for its files."""

    job: ImageRequest
    provenance: Provenance
    reservation: Reservation
    folder: Path
    context: ProcessingContext

    def fetched(self, image: Asset) -> Path:
        """Fetch the file of an image. Raises NotFound."""
        path = self.folder / image.id
        try:
            self.context.storage.fetch(image.storage_key, path)
        except FileNotFoundError:
            raise NotFound(f"Image '{image.id}' was deleted.") from None
        return path

    def outcome(self, work: Turn[Result]) -> Result:
        """Wait for the result of the pool's work and renew the reservation meanwhile."""
        return self.context.outcome(work, self._renew)

    def add_file(self, path: Path, original_name: str) -> Asset:
        """Add a finished file as an image. Raises ImagingError, also for a video."""
        thumbnail = self.folder / "thumbnail"
        principal = self.job.principal
        found = self.outcome(
            self.context.imaging.examine(
                path, thumbnail, principal.org_id, watermarked_for_test=not principal.is_live
            )
        )
        if found.is_video:
            raise UnsupportedImage(UNSUPPORTED)
        return self._store(ExaminedFile.examined(path, thumbnail, found), original_name)

    def derive(
        self,
        source: Path,
        original_name: str,
        wanted: Transform,
        layers: Mapping[str, Path] | None = None,
    ) -> Asset:
        """Transform another file into an image, with a watermark for a test key. Raises
        ImagingError."""
        target, thumbnail = self.folder / "target", self.folder / "thumbnail"
        order = Derivation(self.job.principal.watermarked_for_test(wanted), thumbnail, layers or {})
        made = self.outcome(
            self.context.imaging.derive(source, target, order, self.job.principal.org_id)
        )
        name = Names().unique(original_name, made.picture.format.extension)
        return self._store(ExaminedFile.derived(target, thumbnail, made.picture), name)

    def _store(self, file: ExaminedFile, original_name: str) -> Asset:
        """Store the file, then add its row and settle the usage in one transaction. Raises
        QuotaExceeded if storage is full."""
        principal, clock = self.job.principal, self.context.clock
        with transaction(*principal.partition) as session:
            size = file.path.stat().st_size
            upload = ingest.reserve_upload(
                session, principal, original_name, file.mime_type, size, clock()
            )
        try:
            ingest.store(upload, file, self.context)
            with transaction(*principal.partition) as session:
                label = Label(self.job.name)
                asset = ingest.register(
                    session, upload, file, original_name, label, self.provenance, clock()
                )
                if asset is None:
                    raise Overloaded(
                        "Storing the image took too long. Nothing was charged; send it again."
                    )
                # No client has a URL for this upload, so its row need not stay.
                session.change(delete(Upload).where(Upload.id == upload.id))
                reservations.settle(session, self.reservation, self.job.images)
                idempotency.remember(session, self.job.request, asset.id)
        except BaseException:
            ingest.abandon(principal, upload)
            raise
        return asset

    def _renew(self) -> None:
        with transaction(*self.job.principal.partition) as session:
            reservations.extend(session, self.reservation, self.context.clock())
