"""Workflows to compare on: small ones one and all, middling ones so that every two features meet, large ones at random.

What isomorphism may identify: two graphs that differ in the names of their steps alone. The order of steps in the file is more
than a name, since it decides among equals; so of each class of graphs one is taken, with its needs before what needs them,
features are put on every one of its steps in turn, and to have the file backwards is a feature like any other.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations, product
from random import Random
from typing import Any

from given import Given
from msgspec.structs import replace

from weft.model.workflow import Approve, Budget, Flow, Pool, Rate, Retry, Shell, Sleep, Step, Workflow

Graph = tuple[tuple[int, ...], ...]
"""The needs of each step, by number; all are smaller than its own."""

POOLS = {
    "one": Pool(slots=1),
    "three": Pool(slots=3),
    "paced": Pool(rate=Rate(1, 1.0)),
    "bursts": Pool(rate=Rate(1, 2.0), burst=2),
}
ONCE = Retry(times=1, jitter=False)
INNER = Workflow(name="inner", steps=(Step(id="u", action=Shell("true")), Step(id="v", action=Shell("true"), needs=("u",))))

STEP: dict[str, dict[str, dict[str, Any]]] = {
    "if": {
        "true": {"condition": "true"},
        "false": {"condition": "false"},
        "always": {"condition": "always()"},
        "failed": {"condition": "failed()"},
        "success": {"condition": "success() && true"},
        "status": {"condition": "steps.{need}.status == 'failed'"},
    },
    "retry": {
        "once": {"retry": ONCE},
        "at once": {"retry": replace(ONCE, delay_s=0.0)},
        "some": {"retry": replace(ONCE, when=("timeout",))},
        "growing": {"retry": replace(ONCE, times=3, max_delay_s=3.0)},
        "not for long": {"retry": replace(ONCE, times=3, max_elapsed_s=3.0)},
    },
    "timeout": {"soon": {"timeout_s": 1.5}},
    "deadline": {"soon": {"deadline_s": 2.5}, "with retries": {"deadline_s": 3.25, "retry": replace(ONCE, times=5)}},
    "on_error": {
        "continue": {"on_error": "continue"},
        "stop": {"on_error": "stop"},
        "drain": {"on_error": "stop", "drain": True},
        "layer": {"on_error": "stop_layer"},
    },
    "kind": {"waits": {"action": Sleep(seconds=1.0)}, "flow": {"action": Flow(INNER)}, "asks": {"action": Approve()}},
    "gate": {
        "before": {"gate": Approve()},
        "silence is yes": {"gate": Approve(timeout_s=0.375, on_timeout="approve")},
        "silence is no": {"gate": Approve(timeout_s=0.875, on_timeout="reject")},
    },
    "max_parallel": {"one": {"max_parallel": 1}},
    "pools": {
        "one": {"resources": {"one": 1}},
        "two of three": {"resources": {"three": 2}},
        "both": {"resources": {"one": 1, "three": 3}},
        "paced": {"resources": {"paced": 1}},
        "in bursts": {"resources": {"bursts": 1}},
    },
    "priority": {"high": {"priority": 1}},
    "expect": {"long": {"expect_s": 5.0}},
    "fallback": {"plain": {"fallback": "{own}"}},
    "items": {"two": {"for_each": [1, 2]}, "none": {"for_each": []}, "each if": {"for_each": [1, 2], "each_if": True}},
}
"""What a step may have that it has not by default: feature, sort, settings."""

WHOLE: dict[str, dict[str, dict[str, Any]]] = {
    "schedule": {"layers": {"schedule": "layers"}, "sequential": {"schedule": "sequential"}},
    "limit": {"1": {"max_parallel": 1}, "2": {"max_parallel": 2}, "none": {"max_parallel": "unlimited"}},
    "budget": {"two": {"budget": Budget(tokens=2)}},
    "run timeout": {"soon": {"timeout_s": 2.25}},
    "finally": {"one": {"finally": 1}, "two": {"finally": 2}},
}
"""The same for the workflow as a whole."""

OUTSIDE: dict[str, dict[str, Any]] = {
    "cancel": {"soon": 0.5, "later": 2.5},
    "learned": {"first": 9.0},
    "file": {"backwards": True},
}
"""The same for what is not in the workflow."""

KINDS = ("exit", "error", "timeout")
DURATIONS = (1.0, 1.0, 2.0, 3.0)


@dataclass(frozen=True)
class Feature:
    """`step`: on which it is, by number; None: on the whole."""

    name: str
    sort: str
    step: int | None = None


@dataclass(frozen=True)
class Case:
    """`seed` draws how the attempts go: about a third of them fail."""

    graph: Graph
    features: tuple[Feature, ...]
    seed: int

    def build(self) -> tuple[Workflow, Given]:
        steps = [
            Step(id=f"s{n}", action=Shell("true"), needs=tuple(f"s{k}" for k in needs)) for n, needs in enumerate(self.graph)
        ]
        whole: dict[str, Any] = {}
        given = Given(outcomes=Outcomes(self.seed), answers=Answers(self.seed))
        for feature in self.features:
            if feature.step is not None:
                steps[feature.step] = replace(steps[feature.step], **STEP[feature.name][feature.sort])
            elif feature.name in WHOLE:
                whole |= WHOLE[feature.name][feature.sort]
            elif feature.name == "cancel":
                given.cancel_at_s = OUTSIDE["cancel"][feature.sort]
            elif feature.name == "learned":
                given.learned_s = {"s0": OUTSIDE["learned"][feature.sort]}
            else:
                steps.reverse()
        last = [Step(id=f"z{n}", action=Shell("true"), role="finally") for n in range(whole.pop("finally", 0))]
        steps = [*map(finished, steps), *last]
        steps += [Step(id=each.fallback, action=Shell("true"), role="fallback") for each in steps if each.fallback]
        return Workflow(name="case", steps=tuple(steps), resources=POOLS, **whole), given


class Outcomes(dict[tuple[str, int], tuple[float, str]]):
    """How attempts go, drawn when they are asked for; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def get(self, key: tuple[str, int], default: Any = None) -> Any:
        drawn = zlib.crc32(repr((self.seed, key)).encode())
        return DURATIONS[drawn % 4], KINDS[drawn // 4 % 3] if drawn // 16 % 3 == 0 else "ok"


class Answers(dict[str, tuple[float, str]]):
    """What is said at gates, drawn in the same way: a quarter says no."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def get(self, key: str, default: Any = None) -> Any:
        drawn = zlib.crc32(repr((self.seed, key)).encode())
        return (0.625, 1.125)[drawn % 2], "reject" if drawn // 2 % 4 == 0 else "approve"


def finished(step: Step) -> Step:
    """What depends on the other settings: no pools and no fallback for what makes no attempts itself, a need to ask about."""
    condition = step.condition
    if "{need}" in condition:
        condition = condition.format(need=step.needs[0]) if step.needs else ""
    each_if = step.each_if and step.for_each is not None
    fallback = f"f{step.id}" if step.fallback and not step.grows else ""
    resources = {} if isinstance(step.action, Flow | Approve) else step.resources
    gate = None if isinstance(step.action, Approve) else step.gate
    return replace(step, condition=condition, each_if=each_if, resources=resources, fallback=fallback, gate=gate)


def graphs(n: int) -> Iterator[Graph]:
    """One of each class of isomorphic graphs with n steps."""
    seen: set[frozenset[tuple[int, int]]] = set()
    pairs = list(combinations(range(n), 2))
    for chosen in product((False, True), repeat=len(pairs)):
        edges = frozenset(pair for pair, there in zip(pairs, chosen, strict=True) if there)
        if edges in seen:
            continue
        seen |= {frozenset((order[a], order[b]) for a, b in edges) for order in permutations(range(n))}
        yield tuple(tuple(a for a, b in sorted(edges) if b == step) for step in range(n))


def features_of(n: int) -> list[Feature]:
    on_steps = [Feature(name, sort, k) for k in range(n) for name, sorts in STEP.items() for sort in sorts]
    return on_steps + [Feature(name, sort) for name, sorts in {**WHOLE, **OUTSIDE}.items() for sort in sorts]


def small(n: int) -> Iterator[Case]:
    """All graphs of n steps with at most two features, of each every sort."""
    features = features_of(n)
    pairs = [pair for pair in combinations(features, 2) if (pair[0].name, pair[0].step) != (pair[1].name, pair[1].step)]
    chosen: list[tuple[Feature, ...]] = [(), *((feature,) for feature in features), *pairs]
    for graph, some in product(graphs(n), chosen):
        yield Case(graph, some, zlib.crc32(repr((graph, some)).encode()))


def in_turns(n: int, turns: int) -> Iterator[Case]:
    """All graphs of n steps with at most two features. Their sorts take turns: any two meet in some of the graphs."""
    sorts: dict[tuple[str, int | None], list[Feature]] = {}
    for feature in features_of(n):
        sorts.setdefault((feature.name, feature.step), []).append(feature)
    places = [(), *((one,) for one in sorts.values()), *combinations(sorts.values(), 2)]
    for number, ((g, graph), some) in enumerate(product(enumerate(graphs(n)), places)):
        for turn in range(turns):
            rest, picked = g * turns + turn, []
            for of in some:
                rest, k = divmod(rest, len(of))
                picked.append(of[k])
            yield Case(graph, tuple(picked), number * turns + turn)


def pairwise(n: int, seed: int) -> Iterator[Case]:
    """Cases of n steps such that any two features, on whichever steps, meet in one of them, over graphs drawn at random."""
    random, features = Random(seed), features_of(n)
    sorts: dict[tuple[str, int | None], list[int]] = {}
    for number, feature in enumerate(features):
        sorts.setdefault((feature.name, feature.step), []).append(number)
    place = {number: place for place, of in sorts.items() for number in of}
    left = dict.fromkeys(pair for pair in combinations(range(len(features)), 2) if place[pair[0]] != place[pair[1]])
    while left:
        row = list(next(iter(left)))
        free = [of for where, of in sorts.items() if where not in map(place.__getitem__, row)]
        for of in random.sample(free, len(free) // 4):
            row.append(max(of, key=lambda number: sum((min(number, other), max(number, other)) in left for other in row)))
        for pair in combinations(sorted(row), 2):
            left.pop(pair, None)
        yield Case(random_graph(random, n), tuple(features[number] for number in row), random.randrange(10**6))


def random_graph(random: Random, n: int) -> Graph:
    return tuple(tuple(sorted(random.sample(range(k), random.randint(0, min(k, 3))))) for k in range(n))


def large(seed: int) -> Case:
    """A graph of 7 to 20 steps, on which about every fifth thing that can be said of a step is said."""
    random = Random(seed)
    n = random.randint(7, 20)
    some: list[Feature] = []
    for k in range(n):
        some += [Feature(name, random.choice(list(sorts)), k) for name, sorts in STEP.items() if random.random() < 0.1]
    for name, sorts in {**WHOLE, **OUTSIDE}.items():
        if random.random() < 0.3:
            some.append(Feature(name, random.choice(list(sorts))))
    return Case(random_graph(random, n), tuple(some), seed)
