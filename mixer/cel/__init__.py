"""The Common Expression Language over attributes: parsed by Google's parser, run as closures.

Source: https://github.com/cel-expr/cel-spec, as Envoy's Wasm filter evaluates it (untyped, with its
standard functions).
"""

from mixer.cel.activation import (
    ABSENT,
    GROUPS,
    Activation,
    AttributeActivation,
    AttributeGroup,
    Find,
)
from mixer.cel.checking import Result, checked_program
from mixer.cel.errors import (
    BoundError,
    BudgetError,
    EvaluationError,
    ExpressionError,
    FunctionError,
)
from mixer.cel.necessary import ANYHOW, Demand, Lookup, Way, Ways
from mixer.cel.parsing import MAX_EXPRESSION_BYTES
from mixer.cel.program import MAX_COST, Program
from mixer.cel.values import TYPES

__all__ = [
    "ABSENT",
    "ANYHOW",
    "GROUPS",
    "MAX_COST",
    "MAX_EXPRESSION_BYTES",
    "TYPES",
    "Activation",
    "AttributeActivation",
    "AttributeGroup",
    "BoundError",
    "BudgetError",
    "Demand",
    "EvaluationError",
    "ExpressionError",
    "Find",
    "FunctionError",
    "Lookup",
    "Program",
    "Result",
    "Way",
    "Ways",
    "checked_program",
]
