"""Making images: of a client's file, of a URL, of words, of other images. What comes of it is an
asset like any other.

Each counts, originals too; the workspace's own uploads don't.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from sqlalchemy import delete, select

from app.adapters.fetching.fetcher import Fetcher
from app.adapters.painter import ImagePrompt, Painter
from app.errors import NotConfigured, NotFound, Overloaded, TooLarge, Unprocessable
from app.extensions import transaction
from app.imaging import Derivation, Format, Painting, Transform, Turn, UnsupportedImage
from app.imaging.errors import UNSUPPORTED
from app.models import AllowedHost, Asset, Upload
from app.services import idempotency, usage
from app.services.accounts.principal import MEGABYTE, Principal
from app.services.filenames import Names, clean_name
from app.services.idempotency import RequestClaim
from app.services.library import ingest
from app.services.library.assets import Label
from app.services.library.images import ImageFile
from app.services.library.ingest import ExaminedFile
from app.services.processing_context import ProcessingContext
from app.services.usage import Reservation

PAINTED = Transform(Format.JPEG, quality=90)
SEEDS = 2**32
Result = TypeVar("Result")
Rest = ParamSpec("Rest")


@dataclass(frozen=True)
class ImageRequest:
    """Who asks for an image, under which name, and for how many it counts.

    ``request`` may come again: what it paid once, it doesn't pay again, and what it made is not
    made again.
    """

    principal: Principal
    name: str
    request: RequestClaim | None = None
    images: int = 1


def once_per_request(
    make: Callable[Concatenate[ImageRequest, Rest], Asset],
) -> Callable[Concatenate[ImageRequest, Rest], Asset]:
    """Give the image that an earlier attempt at the same request made, if it did and the image is
    still there."""

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
    """An image of a client's file, as it is. Raises QuotaExceeded, ImagingError."""
    with _begin(job, context) as making:
        return making.take_in(path, original_name)


@once_per_request
def from_url(job: ImageRequest, url: str, fetcher: Fetcher, context: ProcessingContext) -> Asset:
    """An image of what a URL leads to. Raises as ``create``, and as ``Fetcher.fetch``."""
    with transaction(*job.principal.partition) as session:
        hosts = session.scalars(select(AllowedHost.host)).all()
    with _begin(job, context) as making:
        path = making.folder / "original"
        fetcher.fetch(url, path, most_bytes=job.principal.allowance.file_bytes, hosts=hosts)
        return making.take_in(path, clean_name(unquote(urlsplit(url).path)))


@once_per_request
def from_published(job: ImageRequest, image: ImageFile, context: ProcessingContext) -> Asset:
    """An image of what anybody may get from this server. Raises as ``create``, TooLarge,
    Unprocessable."""
    most = job.principal.allowance.file_bytes
    if image.size > most:
        problem = f"url: the file is larger than {most // MEGABYTE} MB, the most that is allowed"
        raise TooLarge(problem, errors=[problem])
    with _begin(job, context) as making:
        path = making.folder / "original"
        try:
            context.storage.fetch(image.storage_key, path)
        except FileNotFoundError:
            raise Unprocessable(
                "url: the image was deleted", errors=["url: the image was deleted"]
            ) from None
        return making.take_in(path, Names().unique(image.name, image.extension))


@once_per_request
def from_prompt(
    job: ImageRequest, wanted: ImagePrompt, painter: Painter | None, context: ProcessingContext
) -> Asset:
    """An image of words: the provider's, or with a test key one of our own painter's.

    Raises NotConfigured without a provider, QuotaExceeded, and as ``Painter.paint``.
    """
    if job.principal.is_live and painter is None:
        raise NotConfigured(
            "This server has no provider that paints images. With a test key there are samples."
        )
    with _begin(job, context) as making:
        path = making.folder / "original"
        if job.principal.is_live and painter:
            painter.paint(wanted, path)
            return making.take_in(path, job.name)
        seed = secrets.randbelow(SEEDS) if wanted.seed is None else wanted.seed
        painting = Painting(wanted.prompt, wanted.negative_prompt or "", seed)
        making.outcome(context.imaging.paint(path, painting, job.principal.org_id))
        return making.derive(path, job.name, PAINTED)


@once_per_request
def from_image(
    job: ImageRequest,
    image: Asset,
    wanted: Transform,
    context: ProcessingContext,
    *,
    layers: Mapping[str, Asset] | None = None,
) -> Asset:
    """A new image, made of ``image`` and a watermark's ``layers``.

    Raises QuotaExceeded, ImagingError, NotFound where an image was deleted meanwhile.
    """
    with _begin(job, context) as making:
        source = making.fetched(image)
        files = {layer_id: making.fetched(layer) for layer_id, layer in (layers or {}).items()}
        return making.derive(source, image.original_name, wanted, files)


@contextmanager
def _begin(job: ImageRequest, context: ProcessingContext) -> Iterator["_Creation"]:
    """A job under way, its images set aside; they are given back where the block fails."""
    with transaction(*job.principal.partition) as session:
        reference = job.request.id if job.request else None
        reservation = usage.reserve(
            session, job.principal, "image", job.images, context.clock(), reference
        )
    try:
        with context.folder() as folder:
            yield _Creation(job, reservation, folder, context)
    except BaseException:
        with transaction(*job.principal.partition) as session:
            usage.release(session, reservation)
        raise


@dataclass(frozen=True)
class _Creation:
    """One job: the images set aside for it, and a folder for its files."""

    job: ImageRequest
    reservation: Reservation
    folder: Path
    context: ProcessingContext

    def fetched(self, image: Asset) -> Path:
        """The file of an image. Raises NotFound."""
        path = self.folder / image.id
        try:
            self.context.storage.fetch(image.storage_key, path)
        except FileNotFoundError:
            raise NotFound(f"Image '{image.id}' was deleted.") from None
        return path

    def outcome(self, work: Turn[Result]) -> Result:
        """What came of the pool's work, while the reservation is kept alive."""
        return self.context.outcome(work, self._renew)

    def take_in(self, path: Path, original_name: str) -> Asset:
        """The image of a finished file. Raises ImagingError, for a video too."""
        thumbnail = self.folder / "thumbnail"
        who = self.job.principal
        found = self.outcome(
            self.context.imaging.examine(
                path, thumbnail, who.org_id, watermarked_for_test=not who.is_live
            )
        )
        if found.is_video:
            raise UnsupportedImage(UNSUPPORTED)
        return self._keep(ExaminedFile.examined(path, thumbnail, found), original_name)

    def derive(
        self,
        source: Path,
        original_name: str,
        wanted: Transform,
        layers: Mapping[str, Path] | None = None,
    ) -> Asset:
        """The image that comes of another file, with a watermark for a test key. Raises
        ImagingError."""
        target, thumbnail = self.folder / "target", self.folder / "thumbnail"
        order = Derivation(self.job.principal.watermarked_for_test(wanted), thumbnail, layers or {})
        made = self.outcome(
            self.context.imaging.derive(source, target, order, self.job.principal.org_id)
        )
        name = Names().unique(original_name, made.picture.format.extension)
        return self._keep(ExaminedFile.derived(target, thumbnail, made.picture), name)

    def _keep(self, arrival: ExaminedFile, original_name: str) -> Asset:
        """Store the file, then make its row and count it, at once. Raises QuotaExceeded where
        storage is full."""
        who, now = self.job.principal, self.context.clock()
        with transaction(*who.partition) as session:
            size = arrival.path.stat().st_size
            upload = ingest.reserve_upload(
                session, who, original_name, arrival.mime_type, size, now
            )
        try:
            ingest.store(upload, arrival, self.context)
            with transaction(*who.partition) as session:
                label = Label(self.job.name)
                asset = ingest.register(
                    session, upload, arrival, original_name, label, self.context.clock()
                )
                if asset is None:
                    raise Overloaded(
                        "Storing the image took too long. Nothing was charged; send it again."
                    )
                # Nobody else knows of the upload, so it needs no end of its own.
                session.change(delete(Upload).where(Upload.id == upload.id))
                usage.settle(session, self.reservation, self.job.images)
                idempotency.remember(session, self.job.request, asset.id)
        except BaseException:
            ingest.abandon(who, upload)
            raise
        return asset

    def _renew(self) -> None:
        with transaction(*self.job.principal.partition) as session:
            usage.extend(session, self.reservation, self.context.clock())
