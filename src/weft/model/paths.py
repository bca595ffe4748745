"""Ids of steps as paths. A key may be any text: what would be taken for a part of the path, or cannot be shown, is escaped."""

import re
from hashlib import blake2b
from typing import Final

KEY_CHARS_MAX: Final = 80
"""A longer key is cut and gets a digest: ids stand in lists, messages and names of files."""

_KEYS = re.compile(r"\[[^\]]*\]")
_ODD = re.compile(r"[\x00-\x20%/\[\]#\"'`\\\x7f-\xa0\u2028\u2029\ud800-\udfff]")


def instance_id(step: str, key: str) -> str:
    """The id of one instance of a fan-out."""
    return f"{step}[{escaped(key)}]"


def escaped(key: str) -> str:
    """The key as it stands in an id: odd characters as `%` and hexadecimal digits, as in an address, so that no two keys meet."""
    text = _ODD.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")), key)
    if len(text) <= KEY_CHARS_MAX:
        return text
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{text[:KEY_CHARS_MAX]}%~{digest}"


def definition(step: str) -> str:
    """The path of the step in the file that an instance was made from: its id without keys."""
    return _KEYS.sub("", step) if "[" in step else step
