"""ICC profiles (ICC.1:2022): recognise the most common one, and read the name of any."""

import struct

# sRGB's primaries as every profile of it stores them: adapted to D50, as s15Fixed16 numbers.
SRGB = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
TOLERANCE = 0.003


def is_srgb(profile: bytes) -> bool:
    """Whether a profile calls itself sRGB and has its primaries, so that converting from it would
    only round."""
    try:
        count = struct.unpack_from(">I", profile, 128)[0]
        tags = {
            profile[at : at + 4]: profile[at + 4 : at + 12]
            for at in range(132, 132 + 12 * min(count, 100), 12)
        }
        named = b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile
        return named and all(
            _is_near(profile, tags[name], primary) for name, primary in SRGB.items()
        )
    except (KeyError, struct.error):
        return False


def name_of(profile: bytes) -> str:
    """The description of a profile (ICC.1:2022 §9.2.41, or ICC.1:2001 §6.5.17), not cleaned; empty
    where it can't be read."""
    try:
        for at in range(132, 132 + 12 * min(struct.unpack_from(">I", profile, 128)[0], 100), 12):
            if profile[at : at + 4] == b"desc":
                return _text(profile, struct.unpack_from(">I", profile, at + 4)[0])
    except struct.error:
        pass
    return ""


def _text(profile: bytes, at: int) -> str:
    """The ASCII text of version 2, the first language of version 4."""
    if profile[at : at + 4] == b"desc":
        size = struct.unpack_from(">I", profile, at + 8)[0]
        return profile[at + 12 : at + 12 + min(size, 400)].partition(b"\0")[0].decode("latin-1")
    if profile[at : at + 4] == b"mluc":
        size, offset = struct.unpack_from(">II", profile, at + 20)
        text = profile[at + offset : at + offset + min(size, 400)]
        return text.decode("utf-16-be", errors="ignore")
    return ""


def _is_near(profile: bytes, entry: bytes, primary: tuple[float, ...]) -> bool:
    offset, _ = struct.unpack(">II", entry)
    stored = struct.unpack_from(">3i", profile, offset + 8)
    return all(
        abs(value / 65536 - wanted) < TOLERANCE
        for value, wanted in zip(stored, primary, strict=True)
    )
