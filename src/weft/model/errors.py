"""The exception tree: one branch for each party that can be at fault. What a branch means to a shell is its exit code."""


class WeftError(Exception):
    """Something weft can explain. The text is for a person: whose fault, where, and what to do."""

    exit_code = 5


class UsageError(WeftError):
    """The command or the workflow is wrong; nothing has run."""

    exit_code = 2


class MachineError(WeftError):
    """The machine does not allow it: disk full, a foreign lock, a missing program, a damaged journal."""

    exit_code = 6


class JournalDamaged(MachineError):
    """The journal of a run does not read back as it was written."""


class RunLocked(MachineError):
    """Another living process holds the run."""


class Bug(WeftError):
    """weft broke one of its own rules; the story is in the text."""

    exit_code = 5
