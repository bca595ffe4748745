"""`lua`, `js`, `wasm`: languages that run confined inside a worker process, by the modules of weft.guests."""

from pathlib import Path

from weft import guests
from weft.model.workflow import Js, Lua, Wasm
from weft.ports import Job
from weft.runners.python import PythonRunner, Request

FOLDER = Path(guests.__file__).parent


class GuestRunner(PythonRunner):
    """Runs Lua, Js and Wasm actions on an executor, which it owns."""

    def request(self, job: Job) -> Request:
        action = job.action
        if isinstance(action, Wasm):
            call = {"module": action.module, "inputs": job.inputs, "function": action.function, "report": action.report}
            return Request(call, guest=str(FOLDER / "wasm.py"))
        assert isinstance(action, Lua | Js)
        name = "lua" if isinstance(action, Lua) else "js"
        return Request({"code": action.code, "inputs": job.inputs}, guest=str(FOLDER / f"{name}.py"))
