"""A parsed expression and data → a value. Nothing here can change anything, or run for longer than its budget."""

from weft.model.expression import Expression
from weft.model.frame import Frame, Scope, Status
from weft.model.workflow import Value

NO_STATUS: Status = {}


def evaluate(expression: Expression, scope: Scope, status: Status = NO_STATUS) -> Value:
    """The value of an expression. `scope` has the roots of paths; its mappings and lists may load their items on access.

    `status` gives `success`, `failed` and `always` their meaning, where they have one. Raises ExpressionError (MissingPath,
    BudgetExceeded) with the place in the expression's text, and whatever loading an item raises.
    """
    frame = Frame(scope, status)
    value = expression.node.value(frame)
    return frame.plain(value) if frame.lazy else value


def verdict(expression: Expression, scope: Scope, status: Status) -> bool:
    """What an `if` says. One that uses no status function means `success() && (…)`. Raises ExpressionError."""
    if not expression.uses_status and not status["success"]():
        return False
    return expression.node.truth(Frame(scope, status), "`if`")
