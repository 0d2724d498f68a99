"""How an expression can fail."""


class ExpressionError(ValueError):
    """A text is no expression, or not one that can run here; the message says why."""


class BoundError(ExpressionError):
    """An expression is larger than this host takes."""


class FunctionError(ExpressionError):
    """An expression calls a function, or makes a message, that is not there."""


class EvaluationError(Exception):
    """An expression has no value; `||` and `&&` can make up for it."""


class BudgetError(Exception):
    """An evaluation took more than it may."""
