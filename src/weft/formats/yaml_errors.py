"""What libyaml says about broken YAML, in words for the author of the file."""

from yaml import MarkedYAMLError

from weft.formats.text import Text
from weft.model.problem import Problem, Second

_QUOTE = 'put quotes around the text: `key: "…"`'
_BACKSLASH = "write the backslash twice, or use single quotes"
_INDENTATION = "check the indentation of this line"
_CLOSE = "close it, put a comma between the values, and quotes around `${{ … }}`"

_SAYINGS: tuple[tuple[str, str, str], ...] = (  # a part of what libyaml says, what we say instead, what to do
    ("mapping values are not allowed", "a `:` is not expected here", f"{_QUOTE}, or {_INDENTATION}"),
    ("block sequence entries are not", "a `- ` is not expected here", f"{_INDENTATION}, or {_QUOTE}"),
    ("mapping keys are not allowed", "a `? ` is not expected here", _QUOTE),
    ("could not find expected ':'", "this line has no `:` after its key", f"write `key: value`, and {_INDENTATION}"),
    ("unexpected end of stream", "a quote is opened and never closed", "close it, or remove it"),
    ("unexpected document indicator", "`---` or `...` stands inside a quoted text", "close the quote before it"),
    ("unknown escape character", "this escape does not exist", _BACKSLASH),
    ("hexdecimal number", "this escape needs hexadecimal digits", _BACKSLASH),
    ("invalid Unicode character", "this escape is no character", "write the character itself"),
    ("tab character", "a tab stands in the indentation", "indent with spaces only"),
    ("alphabetic or numeric character", "`*` and `&` begin an alias or an anchor", _QUOTE),
    ("comment or line break", "nothing may follow `|` or `>` on the same line", "begin the text on the next line"),
    ("expected ',' or '}'", "a `{` is opened and not closed", _CLOSE),
    ("expected ',' or ']'", "a `[` is opened and not closed", _CLOSE),
    ("expected key", "a key is expected here", f"{_INDENTATION} and the one above, and close quotes and brackets"),
    ("expected '-' indicator", "a `- ` is expected here", f"{_INDENTATION} and the item above"),
    ("expected node content", "a value is expected here", _QUOTE),
    ("expected <document start>", "the document has ended before this", f"{_INDENTATION}: all keys of one level line up"),
    ("incompatible YAML document", "this version of YAML is not supported", "remove the `%YAML` line"),
    ("tag", "tags are not allowed", _QUOTE),
)
_CANNOT_BEGIN = {
    "\t": ("a tab cannot stand here", "use spaces"),
    "@": ("a text cannot begin with `@`", _QUOTE),
    "`": ("a text cannot begin with a backquote", _QUOTE),
    "%": ("a text cannot begin with `%`", _QUOTE),
}


def syntax_problem(error: MarkedYAMLError, text: Text) -> Problem:
    """One problem: after broken syntax nothing that follows can be trusted."""
    assert error.problem_mark is not None  # libyaml's parser always knows where it is
    said, index = str(error.problem), error.problem_mark.index
    if "cannot start any token" in said:
        message, hint = _CANNOT_BEGIN.get(text.text[index : index + 1], ("this character cannot begin a value", _QUOTE))
    else:
        found = (ours for part, *ours in _SAYINGS if part in said)
        message, hint = next(found, (f"the YAML cannot be read: {said}", _INDENTATION))
    mark = error.context_mark
    if mark is None or mark.index == index or not error.context:
        return Problem(code="W110", message=message, place=text.place(index), hint=hint)
    place, second = text.place(index), Second(text.place(mark.index), error.context.removeprefix("while "))
    if "opened" in message:  # what has to be changed is where it was opened, not where that was noticed
        place, second = second.place, Second(place, "noticed here")
    return Problem(code="W110", message=message, place=place, seconds=(second,), hint=hint)
