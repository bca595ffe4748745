"""A language that is not installed is one clear error, before anything runs."""

import pytest

from weft.hands import require_extras
from weft.model.errors import MachineError
from weft.model.workflow import Action, Agent, Flow, Http, Js, Lua, Shell, Step, Tool, Wasm, Workflow


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Lua(code=""), "step `s/x` is Lua, for which a library is missing: pip install 'weft[lua]'"),
        (Js(code=""), "step `s/x` is JavaScript, for which a library is missing: pip install 'weft[js]'"),
        (Http(url=""), "step `s/x` is an HTTP request, for which a library is missing: pip install 'weft[http]'"),
        (Agent(prompt="", model="test:"), "step `s/x` is an agent, for which a library is missing: pip install 'weft[llm]'"),
        (Tool("t", "x"), "step `s/x` is a call of a tool, for which a library is missing: pip install 'weft[mcp]'"),
        (Wasm(module=""), "step `s/x` is WebAssembly, for which a library is missing: pip install 'weft[wasm]'"),
    ],
)
def test_what_is_missing_is_named(action: Action, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Workflow(name="inner", steps=(Step(id="x", action=action),))
    workflow = Workflow(name="w", steps=(Step(id="a", action=Shell(script="")), Step(id="s", action=Flow(inner))))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    require_extras(workflow)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError) as caught:
        require_extras(workflow)
    assert str(caught.value) == message
