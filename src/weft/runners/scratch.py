"""Scratch folders ($WEFT_DIR). One that a step left empty is renamed for the next: a fifth of the cost of a new one."""

import os
from contextlib import suppress

SPARE_MAX = 64
"""Empty folders kept for the next attempts: about as many as end between two starts."""


class ScratchFolders:
    def __init__(self) -> None:
        self._spare: list[str] = []

    def take(self, path: str) -> None:
        """Make the folder at `path`. Raises OSError."""
        try:
            if self._spare:
                os.rename(self._spare.pop(), path)
            else:
                os.mkdir(path, 0o700)
        except FileExistsError:
            pass  # A start that was put off comes back for the same folder.
        except OSError:  # The folder above is missing (ids may hold slashes), or somebody removed the spare one.
            os.makedirs(path, 0o700, exist_ok=True)

    def give_back(self, path: str) -> None:
        """The attempt succeeded: what it left in its folder is removed, in a thread if it may take long."""
        try:
            empty = not os.listdir(path)
        except OSError:
            return  # The step removed it.
        if empty and len(self._spare) < SPARE_MAX:
            self._spare.append(path)
        elif empty:
            os.rmdir(path)
        else:
            import asyncio
            import shutil

            asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, path, True)

    def close(self) -> None:
        for path in self._spare:
            with suppress(OSError):  # Not empty any more: then it is not ours to remove.
                os.rmdir(path)
        self._spare.clear()
