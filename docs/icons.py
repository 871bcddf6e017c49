"""Writes the icons of the pages, ``app/static/icons.svg``, from the npm package lucide-static.

``python -m docs.icons FOLDER``, where FOLDER is the unpacked package's ``icons``.
"""

import re
import sys
from pathlib import Path

SPRITE = Path(__file__).resolve().parent.parent / "app" / "static" / "icons.svg"
NAMES = (
    "activity archive arrow-down arrow-left arrow-right arrow-up arrow-up-down ban bell blend "
    "book-open braces building-2 calendar chart-column check chevron-down chevron-left "
    "chevron-right chevron-up chevrons-up-down circle-alert circle-check circle-help "
    "circle-play circle-user clock cloud-upload copy corner-down-right credit-card crop "
    "door-open download droplets ellipsis eraser external-link eye eye-off file-text files film "
    "fingerprint-pattern flip-horizontal-2 flip-vertical-2 folder folder-input folder-open "
    "folder-plus folder-tree gauge gift globe grid-2x2 grip-vertical hard-drive hash history "
    "hourglass house image image-off image-plus images inbox info key-round laptop layers "
    "layers-2 layout-dashboard life-buoy link link-2 list-checks list-filter lock log-in "
    "log-out mail mail-check maximize maximize-2 menu minus monitor moon move-horizontal "
    "package pause pencil play plug plus qr-code receipt redo-2 refresh-cw rotate-ccw rotate-cw "
    "save scaling scissors scroll-text search send settings share-2 shield shield-alert "
    "shield-check shrink sliders-horizontal smartphone sparkles square square-check stamp star "
    "sun sun-medium tag tags terminal timer trash-2 triangle-alert undo-2 upload user "
    "user-minus user-plus users wallet wand-sparkles webhook x zap zoom-in zoom-out "
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
