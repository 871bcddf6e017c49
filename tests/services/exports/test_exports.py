"""What a batch export keeps of how it was asked for."""

import json

from app.imaging import Format, Transform
from app.services.exports.exports import Config


def test_a_config_comes_back_as_it_was_stored() -> None:
    for config in (
        Config(Transform()),
        Config(Transform(Format.WEBP, 70, 800, 600, preserve_aspect=False), by_name=True),
    ):
        assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
