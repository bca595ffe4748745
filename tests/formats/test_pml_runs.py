"""Workflows of PML run as they are, those of the document among them, with stand-ins for their servers and no network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pml_kit import SEEDS, STAND_IN, layers, task

from weft.formats import load
from weft.formats.emit import imported
from weft.model.workflow import Value

SERVERS = ("work", "filesystem")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose servers are stand-ins, allowed by their user."""
    servers = {name: {"command": sys.executable, "args": [str(STAND_IN), name]} for name in SERVERS}
    (tmp_path / "mcp-servers.json").write_text(json.dumps({"mcpServers": servers}))
    for name in "abc":
        (tmp_path / f"{name}.json").write_text(json.dumps({name: 1}))
    return tmp_path


def weft(folder: Path, *arguments: str, code: int = 0, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("weft")), *arguments]
    environment = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), **env}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == code, done.stderr
    return done


def run(folder: Path, file: str | Path, *more: str, code: int = 0) -> Any:
    return json.loads(weft(folder, "run", "-y", str(file), *more, code=code).stdout)


LAYERS = {
    "diamond.json": [["A"], ["B", "C"], ["D"]],
    "layers.yaml": [["A"], ["B", "C", "E"], ["D", "F"], ["G"]],
    "same_layer.json": [["login"], ["fetch_user", "fetch_orders", "fetch_settings"]],
    "full_parallel.json": [["t1", "t2", "t3", "t4", "t5"]],
    "limited.json": [["t1", "t2", "t3", "t4", "t5"]],
    "validation.json": [["fetch"], ["publish"]],
    "merge.json": [["read_a", "read_b", "read_c"], ["merge"]],
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_layers_of_the_document(name: str) -> None:
    found = load((SEEDS / name).read_bytes(), name).workflow
    assert found is not None
    assert layers(found) == LAYERS[name]
    assert load(imported(load((SEEDS / name).read_bytes(), name), name).encode(), "n.yaml").problems == ()


def test_every_file_of_the_seed_is_listed() -> None:
    assert LAYERS.keys() == {path.name for path in SEEDS.iterdir()}


@pytest.mark.parametrize(("name", "at_once"), [("same_layer.json", 3), ("full_parallel.json", 5), ("limited.json", 3)])
def test_those_of_a_layer_run_together_as_far_as_they_may(folder: Path, name: str, at_once: int) -> None:
    """Their tool returns only when so many have come: they were really there at once, and never more."""
    told = run(folder, SEEDS / name)
    assert (told["status"], told["failed_tasks"]) == ("complete", 0)
    assert told["metrics"]["parallel_branches"] == at_once


def test_merging_three_files(folder: Path) -> None:
    plan = weft(folder, "plan", str(SEEDS / "merge.json")).stdout
    assert "4 steps in the time of 2 under these limits, speedup 2.0×" in plan
    told = run(folder, SEEDS / "merge.json")
    assert (told["status"], told["successful_tasks"], told["failed_tasks"]) == ("complete", 4, 0)
    assert [result["layerIndex"] for result in told["results"]] == [0, 0, 0, 1]
    assert told["results"][-1]["output"] == {"count": 3, "keys": ["a", "b", "c"], "config": {"a": 1, "b": 1, "c": 1}}
    assert told["total_time_ms"] > 0


def test_validation_after_each_layer(folder: Path) -> None:
    waiting = run(folder, SEEDS / "validation.json", code=3)
    assert {key: waiting[key] for key in ("status", "layer_index", "total_layers", "options", "checkpoint_id")} == {
        "status": "layer_complete",
        "layer_index": 0,
        "total_layers": 2,
        "options": ["continue", "replan", "abort"],
        "checkpoint_id": "layer#0",
    }
    assert [(result["taskId"], result["status"], result["output"]["name"]) for result in waiting["layer_results"]] == [
        ("fetch", "success", "fetch")
    ]
    assert [each["taskId"] for each in waiting["next_layer_preview"]] == ["publish"]
    assert json.loads(weft(folder, "show", "--json").stdout)["reply"] == waiting
    done = json.loads(weft(folder, "approve", waiting["workflow_id"], waiting["checkpoint_id"]).stdout)
    assert (done["status"], done["results"][1]["output"]) == ("complete", {"result": "fetch"})


def test_aborting_after_a_layer(folder: Path) -> None:
    waiting = run(folder, SEEDS / "validation.json", code=3)
    told = json.loads(weft(folder, "reject", waiting["workflow_id"], "--reason", "not today", code=4).stdout)
    assert told["status"] == "aborted"
    assert "not today" in told["reason"]
    assert [result["status"] for result in told["results"]] == ["success", "skipped"]


def write(folder: Path, *tasks: dict[str, Value], **more: Value) -> Path:
    path = folder / "w.json"
    path.write_text(json.dumps({"tasks": tasks, **more}))
    return path


def test_replanning_after_a_layer(folder: Path) -> None:
    waiting = run(folder, SEEDS / "validation.json", code=3)
    more = folder / "more.weft.yaml"
    more.write_text('steps: { other: { tool: work/say, with: { text: "${{ steps.fetch.output.name }} again" } } }')
    weft(folder, "approve", waiting["workflow_id"], "--replan", "--inject", str(more))
    shown = json.loads(weft(folder, "show", "--json").stdout)
    assert {step["step"]: step["status"] for step in shown["steps"]} == {
        "fetch": "succeeded",
        "publish": "skipped",
        "other": "succeeded",
    }


def test_replanning_with_tasks(folder: Path) -> None:
    """In the words of the file itself, as `new_tasks` are."""
    waiting = run(folder, SEEDS / "validation.json", code=3)
    more = folder / "more.json"
    more.write_text(json.dumps({"tasks": [task("other", tool="work:say", arguments={"text": "$fetch.result.name"})]}))
    done = json.loads(weft(folder, "approve", waiting["workflow_id"], "--replan", "--inject", str(more)).stdout)
    assert [(result["taskId"], result["status"]) for result in done["results"]] == [
        ("fetch", "success"),
        ("publish", "skipped"),
        ("other", "success"),
    ]
    assert done["results"][1]["error"] == "left out at the checkpoint layer#0"


def test_a_failure_keeps_back_what_depends_on_it_alone(folder: Path) -> None:
    file = write(
        folder,
        task("bad", tool="work:fail", arguments={"why": "no such page"}),
        task("after", dependsOn=["bad"], arguments={"name": "after"}),
        task("other", arguments={"name": "other"}),
        task("pure", tool="work:fail", metadata={"pure": True}),
        task("sees", arguments={"name": "sees", "after": "$OUTPUT[pure]"}),
    )
    told = run(folder, file, code=1)
    assert (told["status"], told["successful_tasks"], told["failed_tasks"]) == ("complete", 2, 1)
    results = {result["taskId"]: result for result in told["results"]}
    assert [results[id_]["status"] for id_ in ("bad", "after", "other", "pure", "sees")] == [
        "error",
        "skipped",
        "success",
        "failed_safe",
        "success",
    ]
    assert results["bad"]["error"].endswith("no such page")
    assert results["after"]["error"] == "Dependency task bad failed"
    assert (results["pure"]["output"], results["sees"]["output"]["after"]) == (None, None)


def test_a_checkpoint_asks_and_quotes_results(folder: Path) -> None:
    file = write(
        folder,
        task("list", arguments={"name": "list"}),
        task(
            "delete",
            tool="work:say",
            arguments={"text": "deleted"},
            dependsOn=["list"],
            checkpoint={"type": "HIL", "message": "Delete {count} users?", "risk_level": "high"},
        ),
        task("after", arguments={"name": "after"}, dependsOn=["delete"]),
    )
    waiting = run(folder, file, code=3)
    assert (waiting["status"], waiting["decision_type"], waiting["checkpoint_id"]) == ("approval_required", "HIL", "delete")
    assert waiting["description"] == "Delete 2 users? (risk: high)"
    assert waiting["context"] == {"taskId": "delete", "tool": "work:say", "dependsOn": ["list"], "arguments": {"text": "deleted"}}
    assert waiting["options"] == ["approve", "reject", "modify"]
    done = json.loads(weft(folder, "approve", "@", "delete", "--with", "text=kept").stdout)
    assert done["results"][1]["output"] == {"result": "kept"}
    waiting = run(folder, file, code=3)
    told = json.loads(weft(folder, "reject", "@", "delete", code=4).stdout)
    assert [result["status"] for result in told["results"]] == ["success", "cancelled", "skipped"]


def test_an_agent_decides(folder: Path) -> None:
    file = write(
        folder,
        task("list", arguments={"name": "list"}),
        task(
            "delete",
            tool="work:say",
            arguments={"text": "x"},
            dependsOn=["list"],
            checkpoint={"type": "AIL", "prompt": "{count}?"},
        ),
    )
    yes = json.loads(weft(folder, "run", "-y", str(file), WEFT_MODEL="test:").stdout)
    assert [result["status"] for result in yes["results"]] == ["success", "success"]
    nobody = {"WEFT_MODEL": "openai:x", "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    no = json.loads(weft(folder, "run", "-y", str(file), code=4, **nobody).stdout)
    assert [result["status"] for result in no["results"]] == ["success", "cancelled"]
    assert no["results"][1]["error"].startswith("rejected: there is no answer (`openai:x`")
    assert no["reason"] == no["results"][1]["error"]


EXTRA = {"id": "extra", "tool": "work:say", "arguments": {"text": "$list.result.name"}}


@pytest.mark.parametrize(
    ("answer", "code", "outcome"),
    [
        ({"decision": "reject"}, 4, {"list": "success", "delete": "cancelled", "after": "skipped", "other": "success"}),
        ({"decision": "approve"}, 0, {"list": "success", "delete": "x", "after": "x", "other": "success"}),
        (
            {"decision": "modify", "arguments": {"text": "y"}},
            0,
            {"list": "success", "delete": "y", "after": "y", "other": "success"},
        ),
        (
            {"decision": "approve", "skip": ["after", "list"], "tasks": [EXTRA]},
            0,
            {"list": "success", "delete": "x", "after": "skipped", "other": "success", "extra": "list"},
        ),
        (
            {"decision": "replan", "tasks": [EXTRA]},
            0,
            {"list": "success", "delete": "skipped", "after": "skipped", "other": "success", "extra": "list"},
        ),
        (  # what cannot be an answer is none, and then the file says `reject`
            {"decision": "approve", "tasks": [{**EXTRA, "tool": "other:say"}]},
            4,
            {"list": "success", "delete": "cancelled", "after": "skipped", "other": "success"},
        ),
    ],
)
def test_what_an_agent_can_answer(folder: Path, answer: dict[str, Any], code: int, outcome: dict[str, str]) -> None:
    """Tasks that it adds are called like those of the file, with the results that they refer to."""
    ail = {"type": "AIL", "prompt": "what about it?"}
    file = write(
        folder,
        task("list", arguments={"name": "list"}),
        task("delete", tool="work:say", arguments={"text": "x"}, dependsOn=["list"], checkpoint=ail),
        task("after", tool="work:say", arguments={"text": "$delete.result"}),
        task("other", arguments={"name": "other"}),
    )
    model = "test:" + json.dumps({"reason": "so", **answer})
    told = json.loads(weft(folder, "run", "-y", str(file), code=code, WEFT_MODEL=model).stdout)
    found = {result["taskId"]: result["status"] for result in told["results"]}
    found |= {result["taskId"]: result["output"]["result"] for result in told["results"] if "result" in result.get("output", ())}
    assert found == outcome


def test_a_task_that_was_added_asks_a_person_where_others_of_its_server_do(folder: Path) -> None:
    ail = {"type": "AIL", "prompt": "what about it?"}
    file = write(
        folder,
        task("judged", tool="work:say", arguments={"text": "x"}, checkpoint=ail),
        task("asked", tool="filesystem:say", arguments={"text": "x"}, metadata={"approvalMode": "hil"}),
    )
    extra = [{"id": f"extra_{n}", "tool": f"{server}:say", "arguments": {"text": "$(x)"}} for n, server in enumerate(SERVERS)]
    model = "test:" + json.dumps({"decision": "approve", "reason": "so", "skip": ["asked"], "tasks": extra})
    waiting = json.loads(weft(folder, "run", "-y", str(file), code=3, WEFT_MODEL=model).stdout)
    assert waiting["pending"] == ["extra_1"]
    assert {result["taskId"]: result["status"] for result in waiting["layer_results"]} == {
        "judged": "success",
        "asked": "skipped",
        "extra_0": "success",
    }


def test_permissions_say_who_is_asked_about(folder: Path) -> None:
    """A server that they ask about, and one that they do not know; a pure task is never asked about."""
    (folder / "mcp-permissions.yaml").write_text("work: { approvalMode: hil }\nother: { approvalMode: auto }\n")
    file = write(
        folder,
        task("asked", arguments={"name": "x"}),
        task("pure", arguments={"name": "x"}, metadata={"pure": True}),
        task("unknown", tool="filesystem:say", arguments={"text": "x"}),
    )
    waiting = run(folder, file, code=3)
    assert waiting["pending"] == ["asked", "unknown"]
    assert waiting["description"] == "`work:work` wants approval: may it be called for `asked`?"


def test_silence_at_a_checkpoint_is_no(folder: Path) -> None:
    file = write(folder, task(tool="work:say", arguments={"text": "x"}, checkpoint={"type": "HIL", "timeout": 0.05}))
    told = run(folder, file, "--wait", code=4)
    assert (told["status"], told["results"][0]["status"]) == ("aborted", "cancelled")


def test_a_condition_skips(folder: Path) -> None:
    file = write(
        folder,
        task("count", arguments={"name": "count"}),
        task("many", tool="work:say", arguments={"text": "many"}, condition="$count.result.count > 5"),
        task("few", tool="work:say", arguments={"text": "few"}, condition="$count.result.count <= 5"),
    )
    told = run(folder, file)
    assert {result["taskId"]: result["status"] for result in told["results"]} == {
        "count": "success",
        "many": "skipped",
        "few": "success",
    }


HOSTILE = ['"; touch X #', "$(touch X)", "a\nb", "--flag", "nul \0 inside", "${{ inputs.x }}", "$OUTPUT[zzz", "`${x}`", "{count}"]


def test_hostile_values_arrive_as_data(folder: Path) -> None:
    file = write(
        folder,
        *(
            task(f"t{n}", tool="work:say", arguments={"text": {"type": "literal", "value": text}})
            for n, text in enumerate(HOSTILE)
        ),
        *(task(f"u{n}", tool="work:say", arguments={"text": f"$t{n}.result"}) for n in range(len(HOSTILE))),
        task("big", tool="work:say", arguments={"text": "é" * 5_000_000}),
    )
    told = run(folder, file)
    outputs = {result["taskId"]: result["output"]["result"] for result in told["results"]}
    assert [outputs[f"t{n}"] for n in range(len(HOSTILE))] == HOSTILE
    assert [outputs[f"u{n}"] for n in range(len(HOSTILE))] == HOSTILE
    assert outputs["big"] == "é" * 5_000_000
    assert not (folder / "X").exists()


def test_a_run_without_a_map_of_servers_is_refused_by_name(tmp_path: Path) -> None:
    refused = weft(tmp_path, "run", "-y", str(SEEDS / "merge.json"), code=2)
    assert "nothing says what the server `filesystem` is" in refused.stderr
    weft(tmp_path, "plan", str(SEEDS / "merge.json"))


def test_templates_tell_of_their_tasks(folder: Path) -> None:
    """Not of the workflows around them; none has arguments yet."""
    each = '{ name: %s, steps: ["work:fail", "work:say"] }'
    (folder / "t.yaml").write_text(f"workflows: [{each % 'a'}, {each % 'b'}]")
    told = run(folder, "t.yaml", code=1)
    assert (told["successful_tasks"], told["failed_tasks"]) == (0, 2)
    assert [(result["taskId"], result["status"]) for result in told["results"]] == [
        ("a/work_fail", "error"),
        ("a/work_say", "skipped"),
        ("b/work_fail", "error"),
        ("b/work_say", "skipped"),
    ]
