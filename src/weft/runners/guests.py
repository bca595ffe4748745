"""`lua`, `js`, `wasm`: languages that run confined inside a worker process, by the modules of weft.guests."""

from pathlib import Path

from weft import guests
from weft.model.workflow import Js, Lua, Value, Wasm
from weft.ports import Job
from weft.runners.python import PythonRunner, Request

FOLDER = Path(guests.__file__).parent


class GuestRunner(PythonRunner):
    """Runs Lua, Js and Wasm actions too on an executor, which it owns."""

    def request(self, job: Job) -> Request:
        action, call = job.action, dict[str, Value](inputs=job.inputs)
        if isinstance(action, Wasm):
            call |= {"module": action.module, "function": action.function, "report": action.report}
        elif isinstance(action, Lua | Js):
            call["code"] = action.code
        else:
            return super().request(job)
        guest = str(FOLDER / f"{type(action).__name__.lower()}.py")
        if not job.reads and not job.writes:
            return Request(call, guest=guest)
        call["files"] = {"reads": list(job.reads), "writes": list(job.writes)}
        return Request(call, guest=guest, beside=str(FOLDER / "reach.py"))
