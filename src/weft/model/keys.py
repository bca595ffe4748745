"""What a key of the native format is, and a mapping with fixed keys: the rows of the tables in `spec`."""

import msgspec

from weft.model.shape import Shape


class Key(msgspec.Struct, frozen=True):
    """One key. `default` and `example` are written as in a file (YAML). `spellings`: other names that are accepted for ever."""

    name: str
    shape: Shape
    description: str
    example: str
    default: str = ""
    required: bool = False
    spellings: tuple[str, ...] = ()


class Keys(msgspec.Struct, frozen=True):
    """A mapping with fixed keys, and `what` it is, for a sentence.

    `one_of`: exactly one of these must be there, `some_of`: at least one. `later`: keys of the full format that this version does
    not run.
    `meant` maps what other tools call a key to what it is called here, for hints.
    """

    what: str
    keys: tuple[Key, ...]
    one_of: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    meant: dict[str, str] = {}
    some_of: tuple[str, ...] = ()
