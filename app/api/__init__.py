"""The public API: one file per resource, its request and response models beside it."""

from flask_openapi import OpenAPI

from app.api import (
    account,
    assets,
    billing,
    collections,
    compress,
    exports,
    images,
    presets,
    renditions,
    transformations,
    usage,
)


def init_app(app: OpenAPI) -> None:
    for resource in (
        account,
        compress,
        images,
        transformations,
        assets,
        renditions,
        collections,
        presets,
        exports,
        usage,
        billing,
    ):
        app.register_api(resource.blueprint)
