"""A journal and an output store without a disk: `durability: none`, tests and simulations.

They pass the contract suites of the real ones (tests/journal/test_*_contract.py). What is appended counts as durable at once.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from weft.core.facts import Fact
from weft.journal import values
from weft.model.errors import Bug, MachineError
from weft.model.output import Output, OutputForm
from weft.model.workflow import Value
from weft.ports import Payload


class MemoryJournal:
    """Facts in a list. `initial` are those of an earlier life, as if read from a disk."""

    def __init__(self, initial: Sequence[Fact] = ()) -> None:
        self._facts: list[Fact] = list(initial)
        self._closed = False

    def append(self, facts: Sequence[Fact], *, urgent: bool = True) -> int:
        if self._closed:
            raise Bug("append to a journal that was closed")
        self._facts += facts
        return len(self._facts)

    @property
    def durable(self) -> int:
        return len(self._facts)

    def listen(self, saved: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        """Nobody is ever called: `durable` says it all when `append` returns."""

    def read(self, start: int = 1) -> Iterator[Fact]:
        return iter(self._facts[start - 1 :])

    def close(self) -> None:
        self._closed = True


class MemoryStore:
    """Large outputs in a mapping, each of at most VALUE_BYTES_MAX."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def keep(self, payload: Payload, form: OutputForm) -> Output:
        try:
            data = payload if isinstance(payload, bytes) else payload.read_bytes()
        except OSError as error:
            raise MachineError(f"cannot save an output: {error.strerror} ({error.filename})") from error
        values.check_size(len(data), values.VALUE_BYTES_MAX, "an output that is kept in memory")
        if len(data) <= values.INLINE_BYTES_MAX:
            return values.inline(data, form)
        if form == "json":
            values.check_json(data)
        blob = sha256(data).hexdigest()
        self._blobs[blob] = data
        return Output(form=form, blob=blob, size=len(data))

    def take_over(self, output: Output, blob: Path) -> Output:
        try:
            data = blob.read_bytes()
        except OSError as error:
            raise MachineError(f"its output {blob} cannot be read: {error.strerror}") from error
        if sha256(data).hexdigest() != output.blob:
            raise MachineError(f"its output {blob} is damaged")
        values.check_size(len(data), values.VALUE_BYTES_MAX, "an output that is kept in memory")
        self._blobs[output.blob] = data
        return output

    def load(self, output: Output) -> Value:
        if not output.blob:
            return values.decode(output.inline)
        if output.blob not in self._blobs:
            raise MachineError(f"output {output.blob} is not in memory")
        return values.value(self._blobs[output.blob], output.form)
