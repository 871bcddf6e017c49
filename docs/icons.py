"""Writes the icons of the pages, ``app/static/icons.svg``, from the npm package lucide-static.

``python -m docs.icons FOLDER``, where FOLDER is the unpacked package's ``icons``.
"""

import re
import sys
from pathlib import Path

SPRITE = Path(__file__).resolve().parent.parent / "app" / "static" / "icons.svg"
NAMES = (
    "activity arrow-left arrow-right arrow-up-down ban bell book-open braces building-2 "
    "calendar chart-column check chevron-down chevron-left chevron-right chevrons-up-down "
    "circle-alert circle-check circle-help circle-user clock copy credit-card crop door-open "
    "download ellipsis external-link eye eye-off file-text fingerprint-pattern folder gauge "
    "gift globe hard-drive hourglass house image image-off images inbox info key-round laptop "
    "layers layout-dashboard life-buoy link lock log-in log-out mail mail-check menu minus "
    "monitor moon move-horizontal package pencil plug plus qr-code receipt refresh-cw "
    "rotate-ccw scissors scroll-text search send settings shield shield-alert shield-check "
    "shrink sliders-horizontal smartphone sparkles star sun tag terminal timer trash-2 "
    "triangle-alert undo-2 upload user user-minus user-plus users wallet webhook x zap "
)
"""Icons that pages use, separated by spaces."""


def symbol(name: str, source: str) -> str:
    """The shapes of one icon. Colour and stroke come from the style sheet."""
    shapes = source[source.index(">", source.index("<svg")) + 1 : source.index("</svg>")]
    shapes = re.sub(r">\s+<", "><", shapes.strip())
    return f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>'


def main(folder: Path) -> None:
    symbols = [symbol(name, (folder / f"{name}.svg").read_text()) for name in NAMES.split()]
    SPRITE.write_text(
        "<!-- lucide-static 1.62.0, ISC; see licenses/lucide.txt; written by docs/icons.py -->\n"
        + '<svg xmlns="http://www.w3.org/2000/svg">\n'
        + "\n".join(symbols)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
