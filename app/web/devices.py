"""What a browser calls itself, for people."""

import re

BROWSERS = {
    "Edg": "Edge", "OPR": "Opera", "SamsungBrowser": "Samsung Internet", "Firefox": "Firefox",
    "FxiOS": "Firefox", "CriOS": "Chrome", "Chrome": "Chrome", "HeadlessChrome": "Chrome",
    "Safari": "Safari", "curl": "curl",
}  # fmt: skip
"""What a user agent says → the browser's name. The first that is found counts, because most say
the names of others too."""
SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows",
    "Mac OS X": "macOS", "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


def device_name(user_agent: str) -> str:
    """``Firefox on Linux``, as far as the browser tells."""
    browser = _first(BROWSERS, user_agent) or "A browser"
    system = _first(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first(names: dict[str, str], user_agent: str) -> str | None:
    return next(
        (name for mark, name in names.items() if re.search(rf"\b{mark}\b", user_agent)), None
    )
