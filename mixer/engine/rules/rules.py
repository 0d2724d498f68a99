"""The rules of a configuration, applied to a request that the adapters allowed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mixer.attributes import AttributeBag, HeaderMap
from mixer.cel import AttributeActivation
from mixer.engine.decision import HeaderOperation, Operation
from mixer.engine.rules.rule import Rule
from mixer.engine.selection.ordered import Ordered


@dataclass(frozen=True, slots=True)
class Applied:
    """What the rules said.

    Attributes:
        request: Of the request's headers, in order; worked into them already.
        response: Of the response's headers, in order.
    """

    request: tuple[HeaderOperation, ...] = ()
    response: tuple[HeaderOperation, ...] = ()


NOTHING = Applied()


class Rules:
    """Every rule of a configuration.

    Args:
        rules: In the order in which they are applied.
    """

    __slots__ = ("_rules",)

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = Ordered([(rule.condition, rule) for rule in rules])

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def apply(self, headers: HeaderMap, attributes: AttributeBag) -> Applied:
        """Change a request's headers, and tell everything that was said.

        All expressions see the headers as the adapters left them: no rule sees what another one
        does.

        Args:
            headers: Of the request.
            attributes: What the expressions read, one attribute at a time.
        """
        activation = AttributeActivation(attributes.get)
        matching = list(self._rules.matching(attributes))
        applied = Applied(
            tuple(one for rule in matching for one in rule.request_operations(activation)),
            tuple(one for rule in matching for one in rule.response_operations(activation)),
        )
        change(headers, applied.request)
        return applied


def change(headers: HeaderMap, operations: Iterable[HeaderOperation]) -> None:
    """Make operations on headers, in order."""
    for operation in operations:
        _CHANGES[operation.operation](headers, operation)


_CHANGES: Mapping[Operation, Callable[[HeaderMap, HeaderOperation], None]] = {
    Operation.REPLACE: lambda headers, one: headers.replace(one.name, one.value),
    Operation.APPEND: lambda headers, one: headers.add(one.name, one.value),
    Operation.REMOVE: lambda headers, one: headers.remove(one.name),
}
