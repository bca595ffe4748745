"""`http` of the native format."""

from weft.formats.document import Findings, Where
from weft.formats.shapes import Fields
from weft.model.tokens import shown
from weft.model.workflow import Http


def read_http(fields: Fields, findings: Findings) -> Http:
    """The request of a step. The secrets that it sends must be among those that the step names."""
    given = fields["http"]
    if isinstance(given, str):
        return Http(url=given)
    secrets = [(given["bearer"], given.at("bearer"))] if "bearer" in given else []
    secrets += [(name, given.at("secret_headers", header)) for header, name in given.get("secret_headers", {}).items()]
    for name, path in secrets:
        if name not in fields.get("secrets", ()):
            hint = f"add `secrets: [{name}]` to the step"
            findings.add("W309", f"the step does not name the secret `{shown(name)}`", Where(path), hint=hint)
    known = {key: given[key] for key in given if key != "expect"}
    return Http(**{"url": "", **known}, expect=tuple(given.get("expect", ())))
