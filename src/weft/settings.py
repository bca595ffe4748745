"""Settings: flag > environment > workflow file > `weft.toml` or `[tool.weft]` > user file > default, each with its origin.

What settings there are, where they can be given and what they may be is `model.options.SETTINGS`; here they are only looked up.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from weft.model import shape as shape_
from weft.model.errors import UsageError
from weft.model.options import SETTINGS, Setting
from weft.model.suggest import did_you_mean
from weft.model.units import parse_duration, parse_size
from weft.model.workflow import Value, Workflow


class Resolved(msgspec.Struct, frozen=True):
    """The value of one setting and where it comes from, in words."""

    value: Value
    origin: str


class Settings:
    """All settings. `settings["grace"]` is the value; `origins` says where each comes from."""

    def __init__(
        self, flags: Mapping[str, str], environment: Mapping[str, str] | None = None, project: Path | None = None
    ) -> None:
        """Raises UsageError, with all that is wrong."""
        environment = os.environ if environment is None else environment
        self._wrong: list[str] = []
        sources = [_file(path, self._wrong) for path in _files(project or Path(), environment)]
        self.origins: dict[str, Resolved] = {}
        self._below_workflow: set[str] = set()
        for setting in SETTINGS:
            if setting.name in flags:
                found = self._read(setting, flags[setting.name], setting.flag)
            elif setting.env and setting.env in environment:
                found = self._read(setting, environment[setting.env], setting.env)
            else:
                self._below_workflow.add(setting.name)
                found = next(
                    (
                        self._read(setting, keys[setting.file_key], str(path))
                        for path, keys in sources
                        if setting.file_key in keys
                    ),
                    Resolved(setting.default, "default"),
                )
            self.origins[setting.name] = found
        if self._wrong:
            raise UsageError("\n".join(self._wrong))

    def __getitem__(self, name: str) -> Any:
        return self.origins[name].value

    def with_workflow(self, workflow: Workflow) -> None:
        """Let the workflow file speak where no flag and no variable did."""
        blank = Workflow(name="", steps=())
        for setting in SETTINGS:
            if setting.workflow_key and setting.name in self._below_workflow:
                value = getattr(workflow, setting.workflow_key)
                if value != getattr(blank, setting.workflow_key):
                    self.origins[setting.name] = Resolved(value, "the workflow file")

    def _read(self, setting: Setting, given: Value, origin: str) -> Resolved:
        try:
            return Resolved(_parse(setting.shape, given), origin)
        except ValueError as error:
            self._wrong.append(f"{origin}: `{setting.name}` cannot be `{given}`: {error}")
            return Resolved(setting.default, "default")


def _parse(shape: shape_.Shape, given: Value) -> Value:
    """A value of the shape, from text (flag, environment) or from a TOML value. Raises ValueError saying what is accepted."""
    match shape:
        case shape_.Either(options=options):
            errors = []
            for option in options:
                try:
                    return _parse(option, given)
                except ValueError as error:
                    errors.append(str(error))
            raise ValueError(", nor ".join(errors))
        case shape_.Choice(values=values):
            if given in values:
                return given
            raise ValueError(f"it must be one of {', '.join(values)}")
        case shape_.Boolean():
            truth = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, True: True, False: False}
            if given in truth:
                return truth[given]
            raise ValueError("it must be true or false")
        case shape_.Integer(minimum=low, maximum=high) | shape_.Number(minimum=low, maximum=high):
            number = _number(given, whole=isinstance(shape, shape_.Integer))
            if low <= number <= high:
                return number
            raise ValueError(f"it must be between {low} and {high}")
        case shape_.Duration():
            return parse_duration(given)
        case shape_.Size():
            return parse_size(given)
    if isinstance(given, str):
        return given
    raise ValueError("it must be text")


def _number(given: Value, *, whole: bool) -> float:
    if isinstance(given, bool):
        raise ValueError("it must be a number")
    try:
        return int(given) if whole else float(given)
    except (TypeError, ValueError):
        raise ValueError("it must be a whole number" if whole else "it must be a number") from None


# ---- files ----


def _files(project: Path, environment: Mapping[str, str]) -> list[Path]:
    """Those that exist, the stronger first."""
    home = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME", "/"), ".config")
    paths = (project / "weft.toml", project / "pyproject.toml", Path(home) / "weft" / "weft.toml")
    return [path for path in paths if path.is_file()]


def _file(path: Path, wrong: list[str]) -> tuple[Path, dict[str, Value]]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.name == "pyproject.toml" and "[tool.weft" not in text:
            return path, {}
        import tomllib  # late: most projects have no such file

        keys = tomllib.loads(text)
    except (OSError, ValueError) as error:
        wrong.append(f"{path}: {error}")
        return path, {}
    if path.name == "pyproject.toml":
        keys = keys.get("tool", {}).get("weft", {})
    known = [setting.file_key for setting in SETTINGS if setting.file_key]
    for key in keys:
        if key not in known:
            near = did_you_mean(key, known)
            wrong.append(f"{path}: `{key}` is not a setting" + (f"; did you mean `{near}`?" if near else ""))
    return path, keys
