"""The commands: orders from the core to the engine. Each waits until fact number `after` is durable, and no longer."""

from typing import TypeAlias

import msgspec

from weft.core.facts import StopCause


class Base(msgspec.Struct, frozen=True, kw_only=True):
    after: int = 0
    """Sequence number of the last fact this depends on; facts are numbered from 1, so 0 depends on nothing."""


class StartAttempt(Base, frozen=True, kw_only=True):
    step: str
    attempt: int


class StopAttempt(Base, frozen=True, kw_only=True):
    step: str
    attempt: int
    cause: StopCause


class EvaluateCondition(Base, frozen=True, kw_only=True):
    """Evaluate the `if` of this step and answer with ConditionEvaluated."""

    step: str


class TakeFingerprint(Base, frozen=True, kw_only=True):
    """Compute the fingerprint of this step, look for a success with the same one, and answer with FingerprintTaken."""

    step: str


class EvaluateItems(Base, frozen=True, kw_only=True):
    """Evaluate the items of this fan-out, or check the inputs of this sub-workflow, and answer with ItemsEvaluated."""

    step: str


class EvaluateGroup(Base, frozen=True, kw_only=True):
    """Evaluate the outputs of this sub-workflow and answer with GroupEvaluated."""

    step: str


class EvaluateOutputs(Base, frozen=True, kw_only=True):
    """Evaluate the outputs of the run and answer with OutputsEvaluated; `partial`: it has failed, so those that there are."""

    partial: bool = False


class OpenGate(Base, frozen=True, kw_only=True):
    """Evaluate what is asked at this gate and answer with GateOpened."""

    gate: str


class LeaseUnits(Base, frozen=True, kw_only=True):
    """Get `count` further leases of so many units of shared pools, each taken as one, and tell each with PoolLeased. This
    replaces what was ordered before for the same units; 0: none are wanted any more."""

    units: dict[str, int]
    count: int


class ReturnLeases(Base, frozen=True, kw_only=True):
    """Give back `count` leases that no attempt uses."""

    units: dict[str, int]
    count: int


class Leave(Base, frozen=True, kw_only=True):
    """The run has ended, is suspended, or waits for people: close the journal and go."""


Command: TypeAlias = (
    StartAttempt
    | StopAttempt
    | EvaluateCondition
    | TakeFingerprint
    | EvaluateItems
    | EvaluateGroup
    | EvaluateOutputs
    | OpenGate
    | LeaseUnits
    | ReturnLeases
    | Leave
)
