"""The README's configuration table and .env.example, made from Settings: ``./run readme`` writes
them, a test compares."""

import textwrap
from pathlib import Path

from pydantic.fields import FieldInfo

from app.config import Settings

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
ENV_EXAMPLE = ROOT / ".env.example"
OF_THE_MACHINE = "imaging_processes"
"""Its default is the number of cores."""
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->"


def table() -> str:
    rows = [
        f"| `{name.upper()}` | {_marked(name, field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n"


def env_example() -> str:
    """What has a default is commented out, so that a copy changes nothing until it is edited."""
    entries = ["# All settings with their defaults; ./run readme writes this file.\n"]
    for name, field in Settings.model_fields.items():
        default = _default(name, field)
        meaning = textwrap.wrap(
            field.description or "", 100, initial_indent="# ", subsequent_indent="# "
        )
        entries.append("\n".join([*meaning, f"{'#' * bool(default)}{name.upper()}={default}\n"]))
    return "\n".join(entries)


def _marked(name: str, field: FieldInfo) -> str:
    if name == OF_THE_MACHINE:
        return "the cores"
    default = _default(name, field)
    return f"`{default}`" if default else ""


def _default(name: str, field: FieldInfo) -> str:
    if name == OF_THE_MACHINE or field.default in ("", (), None):
        return ""
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def main() -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(before + BEGIN + table() + END + after)
    ENV_EXAMPLE.write_text(env_example())


if __name__ == "__main__":
    main()
