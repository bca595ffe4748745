"""What this machine has for the well-known pools: processors, memory, GPUs. Limits of containers and control groups included.

`root` is `/`, or a folder that stands for it. Nothing is loaded to find GPUs: the files of the driver say how many there are.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from weft.core.facts import Limits
from weft.host import cgroups
from weft.model.workflow import FRACTIONS, MACHINE_POOLS, Workflow

SMI: Final = "nvidia-smi"
SMI_TIMEOUT_S: Final = 10.0
"""The driver is asked only where its files tell nothing, and takes a second or two to wake up."""
_DEVICE = re.compile(r"nvidia[0-9]+")


def cpus_thousandths(root: Path = Path("/")) -> int:
    """Processors that this process may use, in thousandths: those it may run on, or its share of their time, if that is less."""
    processors = FRACTIONS * len(os.sched_getaffinity(0))
    quota = cgroups.cpu_quota(root)
    return processors if quota is None else min(processors, quota)


def memory_bytes(root: Path = Path("/")) -> int:
    """Memory that this process and its children may use: that of the machine, or of its group, if that is less. 0: unknown."""
    text = (root / "proc/meminfo").read_text()
    found = re.search(r"^MemTotal: *([0-9]+) kB", text, re.MULTILINE)
    total = int(found[1]) << 10 if found else 0
    bound = cgroups.memory_bound(root)
    return total if bound is None else min(total, bound)


def visible_gpus(env: Mapping[str, str]) -> list[str] | None:
    """The devices that this process was given by CUDA_VISIBLE_DEVICES; None: it is not set, so all are.

    As CUDA does, the list is read up to its first entry that cannot be a device.
    """
    text = env.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    found: list[str] = []
    for entry in text.split(","):
        name = entry.strip()
        if not re.fullmatch(r"[0-9]+|(GPU|MIG)-[0-9A-Za-z/-]+", name) or name in found:
            break
        found.append(name)
    return found


def gpus(env: Mapping[str, str], root: Path = Path("/")) -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = visible_gpus(env)
    if visible is not None:
        return visible
    nodes = sum(bool(_DEVICE.fullmatch(path.name)) for path in _entries(root / "dev"))
    count = nodes or len(_entries(root / "proc/driver/nvidia/gpus")) or (_asked(env) if root == Path("/") else 0)
    return [str(number) for number in range(count)]  # CUDA numbers what it can open from 0, whatever the driver calls it


def limits_here(workflow: Workflow, limits: Limits, env: Mapping[str, str], root: Path = Path("/")) -> Limits:
    """The same limits, with what this machine has for the pools of the workflow that ask it.

    A size that a file declares is believed, whatever the machine has; but of GPUs there are never more than CUDA_VISIBLE_DEVICES
    lets this process see.
    """
    asked = {name for name, pool in workflow.resources.items() if name in MACHINE_POOLS and pool.auto}
    pools, names = dict[str, int](), tuple[str, ...]()
    if "cpu" in asked:
        pools["cpu"] = cpus_thousandths(root)
    if "mem" in asked:
        pools["mem"] = memory_bytes(root)
    if "gpu" in workflow.resources and workflow.resources["gpu"].of_machine:
        names = tuple(gpus(env, root))
        if "gpu" in asked or visible_gpus(env) is not None:
            pools["gpu"] = workflow.resources["gpu"].unit * len(names)
    return msgspec.structs.replace(limits, pools=pools, gpus=names)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _asked(env: Mapping[str, str]) -> int:
    """What the driver's own program says, where it is installed and the files say nothing (as under WSL)."""
    import shutil
    import subprocess

    program = shutil.which(SMI, path=env.get("PATH"))
    if program is None:
        return 0
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=SMI_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return len(re.findall(r"^GPU [0-9]+:", done.stdout, re.MULTILINE))
