"""What the machine has, read from folders that stand for `/`; and groups of our own, real ones where this machine lets us."""

import os
import subprocess
from pathlib import Path

import pytest

from weft.core.facts import Limits
from weft.host.bounds import Bounded, Bounds, Killings
from weft.host.cgroups import Groups, cpu_quota, memory_bound
from weft.host.machine import cpus_thousandths, gpus, limits_here, memory_bytes
from weft.model.output import ErrorRecord
from weft.model.workflow import Pool, Workflow

V1 = """30 1 0:30 / {top}/cpu rw - cgroup cgroup rw,cpu,cpuacct
31 1 0:31 /docker/x {top}/memory rw - cgroup cgroup rw,memory
"""
V2 = "30 1 0:30 / {top} rw - cgroup2 cgroup2 rw\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def machine(root: Path, **files: str) -> Path:
    return write(root, {"proc/meminfo": "MemTotal:       8388608 kB\nMemFree: 1 kB\n", **files})


def v1(root: Path, **more: str) -> Path:
    return write(
        machine(root),
        {
            "proc/self/mountinfo": V1.format(top="/sys/fs/cgroup"),
            "proc/self/cgroup": "2:memory:/docker/x/step\n1:cpu,cpuacct:/a/b\n0::/\n",
            "sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/step/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824",
            **more,
        },
    )


def v2(root: Path, **more: str) -> Path:
    return write(
        machine(root),
        {
            "proc/self/mountinfo": V2.format(top="/sys/fs/cgroup"),
            "proc/self/cgroup": "0::/user/me\n",
            "sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory",
            "sys/fs/cgroup/user/me/cgroup.controllers": "cpu memory",
            "sys/fs/cgroup/user/me/cgroup.subtree_control": "cpu memory",
            "sys/fs/cgroup/user/me/cpu.max": "max 100000",
            "sys/fs/cgroup/user/cpu.max": "25000 100000",
            "sys/fs/cgroup/user/me/memory.max": "536870912",
            "sys/fs/cgroup/user/memory.max": "max",
            **more,
        },
    )


@pytest.mark.parametrize(("make", "quota", "memory"), [(v1, 500, 1 << 30), (v2, 250, 512 << 20)])
def test_limits_of_the_group_and_of_those_above(tmp_path: Path, make: object, quota: int, memory: int) -> None:
    assert callable(make)
    root = make(tmp_path)
    assert cpu_quota(root) == quota
    assert memory_bound(root) == memory
    assert cpus_thousandths(root) == min(quota, 1000 * len(os.sched_getaffinity(0)))
    assert memory_bytes(root) == memory


def test_no_groups(tmp_path: Path) -> None:
    root = machine(tmp_path)
    assert cpu_quota(root) is None
    assert memory_bound(root) is None
    assert memory_bytes(root) == 8 << 30
    assert cpus_thousandths(root) == 1000 * len(os.sched_getaffinity(0))
    groups = Groups(root)
    assert not groups.bounds_memory
    assert not groups.bounds_cpu
    assert groups.make(1 << 20, 500) is None


def test_files_that_say_nothing(tmp_path: Path) -> None:
    root = v2(tmp_path, **{"sys/fs/cgroup/user/me/cpu.max": "garbage", "sys/fs/cgroup/user/me/memory.max": "max"})
    assert cpu_quota(root) == 250
    assert memory_bound(root) is None


def test_this_machine() -> None:
    assert cpus_thousandths() >= 1
    assert memory_bytes() > 64 << 20


# ---- GPUs ----


def test_device_files_count(tmp_path: Path) -> None:
    root = write(tmp_path, dict.fromkeys(("dev/nvidia0", "dev/nvidia3", "dev/nvidiactl", "dev/nvidia-uvm"), ""))
    assert gpus({}, root) == ["0", "1"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "3, GPU-5a1b-2c"}, root) == ["3", "GPU-5a1b-2c"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "1,-1,0"}, root) == ["1"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "1,1"}, root) == ["1"]
    assert gpus({"CUDA_VISIBLE_DEVICES": ""}, root) == []


def test_the_driver_counts_where_there_are_no_device_files(tmp_path: Path) -> None:
    root = write(tmp_path, {f"proc/driver/nvidia/gpus/0000:0{n}:00.0/information": "" for n in range(3)})
    assert gpus({}, root) == ["0", "1", "2"]
    assert gpus({}, tmp_path / "nothing") == []


def test_the_driver_is_asked_last(tmp_path: Path) -> None:
    if gpus({"PATH": ""}):
        pytest.skip("this machine has GPUs")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: One (UUID: GPU-1)'\necho 'GPU 1: Two (UUID: GPU-2)'\n")
    program.chmod(0o755)
    assert gpus({"PATH": str(tmp_path)}) == ["0", "1"]


def test_what_a_workflow_is_told(tmp_path: Path) -> None:
    root = write(v2(tmp_path), {"dev/nvidia0": "", "dev/nvidia1": ""})
    auto = {name: Pool(auto=True, unit=unit) for name, unit in (("cpu", 1000), ("mem", 1), ("gpu", 1000))}
    workflow = Workflow(name="w", steps=(), resources=auto)
    limits = limits_here(workflow, Limits(total=3), {}, root)
    assert limits == Limits(total=3, pools={"cpu": 250, "mem": 512 << 20, "gpu": 2000}, gpus=("0", "1"))
    fixed = Workflow(name="w", steps=(), resources={"gpu": Pool(slots=4000, unit=1000), "cpu": Pool(slots=1000, unit=1000)})
    assert limits_here(fixed, Limits(), {}, root) == Limits(gpus=("0", "1"))
    seen = limits_here(fixed, Limits(), {"CUDA_VISIBLE_DEVICES": "1"}, root)
    assert seen == Limits(pools={"gpu": 1000}, gpus=("1",))
    assert limits_here(Workflow(name="w", steps=()), seen, {}, root) == Limits()


# ---- groups of our own ----


def test_what_is_written_into_a_group(tmp_path: Path) -> None:
    """In a folder that stands for a tree of version 2, in which files are only files."""
    root = v2(tmp_path)
    stale = root / "sys/fs/cgroup/user/me/weft-1-1-7"
    stale.mkdir()
    groups = Groups(root)
    assert not stale.exists(), "what a dead engine left is removed"
    group = groups.make(64 << 20, 1500)
    assert group
    folder = Path(group.doors[0]).parent
    assert folder.parent == root / "sys/fs/cgroup/user/me"
    assert (folder / "memory.max").read_text() == str(64 << 20)
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder / "memory.oom.group").read_text() == "1"
    assert (folder / "cpu.max").read_text() == "150000 100000"
    write(folder, {"memory.peak": "123", "memory.events": "oom 1\noom_kill 2\n", "cpu.stat": "usage_usec 2500000\n"})
    assert (group.peak_bytes(), group.kills(), group.cpu_s()) == (123, 2, 2.5)


def test_a_group_that_may_not_be_divided(tmp_path: Path) -> None:
    root = v2(tmp_path, **{"sys/fs/cgroup/user/me/cgroup.subtree_control": ""})
    groups = Groups(root)  # a plain file lets itself be written: it is as if the kernel had agreed
    assert groups.bounds_memory
    assert (root / "sys/fs/cgroup/user/me/cgroup.subtree_control").read_text() == "+cpu"


def real_groups() -> Groups:
    groups = Groups()
    if not (groups.bounds_memory and groups.bounds_cpu):
        pytest.skip("no control group can be made here")
    return groups


def test_a_real_group_bounds_a_real_process() -> None:
    groups = real_groups()
    bounded = Bounded(Bounds(48 << 20, 500), groups)
    program, argv = bounded.command("/bin/sh", ["sh", "-c", "head -c 200m /dev/zero | tail -c 200m | wc -c; echo $0"])
    done = subprocess.run(argv, executable=program, capture_output=True, text=True, timeout=60, check=False)
    error = ErrorRecord(kind="exit", message="exit 137", exit_code=137)
    assert bounded.group
    assert bounded.group.kills() >= 1, done
    told = bounded.verdict(error, None)
    assert told.kind == "out_of_memory"
    assert told.message.startswith("it asked for 48MiB of `mem` and reached 4")
    folder = Path(bounded.group.doors[0]).parent
    bounded.close()
    bounded.close()
    groups.close()
    assert not folder.exists()


def test_an_attempt_is_not_blamed_for_an_earlier_one() -> None:
    groups = real_groups()
    bounded = Bounded(Bounds(32 << 20, None), groups)
    program, argv = bounded.command("/bin/sh", ["sh", "-c", "head -c 90m /dev/zero | tail -c 90m >/dev/null"])
    subprocess.run(argv, executable=program, timeout=60, check=False)
    assert bounded.verdict(ErrorRecord(kind="exit", message="exit 1", exit_code=1), None).kind == "out_of_memory"
    bounded.renew()
    assert bounded.verdict(ErrorRecord(kind="exit", message="exit 1", exit_code=1), None).kind == "exit"
    bounded.close()
    groups.close()


def test_without_groups_memory_is_refused_to_the_process(tmp_path: Path) -> None:
    bounded = Bounded(Bounds(64 << 20, 500), Groups(machine(tmp_path)))
    program, argv = bounded.command("/usr/bin/env", ["env", "python3", "-c", "bytearray(200 << 20)"])
    done = subprocess.run(argv, executable=program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "MemoryError" in done.stderr
    error = ErrorRecord(kind="exit", message="exit 1", exit_code=1, tail=done.stderr)
    assert bounded.verdict(error, 20 << 20).message == "it asked for 64MiB of `mem` and reached 20MiB (exit 1)"
    assert bounded.verdict(ErrorRecord(kind="exit", message="exit 1", exit_code=1), None).kind == "exit"
    assert bounded.verdict(ErrorRecord(kind="timeout", message="late", tail="MemoryError"), None).kind == "timeout"
    assert bounded.peak_bytes() is None
    assert bounded.cpu_s() is None


def test_who_cannot_enter_a_group_is_bounded_alone() -> None:
    groups = real_groups()
    bounded = Bounded(Bounds(64 << 20, 500), groups)
    program, argv = bounded.command("/usr/bin/env", ["env", "python3", "-c", "bytearray(200 << 20)"])
    assert bounded.group is not None
    assert bounded.group.remove()
    done = subprocess.run(argv, executable=program, capture_output=True, text=True, timeout=60, check=False)
    assert "MemoryError" in done.stderr
    bounded.close()
    groups.close()


def test_processors_alone_need_a_group(tmp_path: Path) -> None:
    bounded = Bounded(Bounds(None, 500), Groups(machine(tmp_path)))
    assert bounded.command("/bin/true", ["true"]) == ("/bin/true", ["true"])
    assert bounded.verdict(ErrorRecord(kind="killed", message="killed", signal="SIGKILL"), None).kind == "killed"


def test_killings_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.host import bounds

    counts = iter([5, 5, 6, 6])
    monkeypatch.setattr(bounds, "_kernel_kills", lambda: next(counts))
    killings = Killings()
    killed = ErrorRecord(kind="killed", message="killed by SIGKILL", signal="SIGKILL")
    assert killings.verdict(killed).kind == "killed"
    assert killings.verdict(ErrorRecord(kind="exit", message="exit 1", exit_code=1)).kind == "exit"
    told = killings.verdict(killed)
    assert told.kind == "out_of_memory"
    assert "mem: 2GiB" in told.hint
    assert killings.verdict(killed).kind == "killed"
