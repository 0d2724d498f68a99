"""One access evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mixer.api.authzen.errors import MalformedError

MOST_TEXT = 4096
"""Characters of a type, an id or a name."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Whether a subject may do an action with a resource.

    Attributes:
        subject: ``type``, ``id``, and ``properties`` by name.
        action: ``name`` and ``properties``.
        resource: ``type``, ``id`` and ``properties``.
        context: What else there is, by name.
    """

    subject: Mapping[str, Any]
    action: Mapping[str, Any]
    resource: Mapping[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)

    def as_map(self) -> dict[str, Any]:
        """All of it by name."""
        return {
            "subject": self.subject,
            "action": self.action,
            "resource": self.resource,
            "context": self.context,
        }


_ENTITIES = {"subject": ("type", "id"), "action": ("name",), "resource": ("type", "id")}


def read_entities(told: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Those of the four parts that there are, checked; what is unknown is left out.

    Args:
        told: An object that may have them.

    Raises:
        MalformedError: One is not what it must be.
    """
    found = {
        name: _entity(name, told[name], needed)
        for name, needed in _ENTITIES.items()
        if name in told
    }
    if "context" in told:
        found["context"] = _object("context", told["context"])
    return found


def complete(entities: Mapping[str, Mapping[str, Any]]) -> Evaluation:
    """Make an evaluation of its parts.

    Raises:
        MalformedError: One is missing.
    """
    for name in _ENTITIES:
        if name not in entities:
            raise MalformedError(f"{name} is missing")
    return Evaluation(**entities)


def _entity(name: str, told: Any, needed: tuple[str, ...]) -> Mapping[str, Any]:
    entity = _object(name, told)
    found: dict[str, Any] = {key: _text(f"{name}.{key}", entity.get(key)) for key in needed}
    properties = entity.get("properties", {})
    found["properties"] = _object(f"{name}.properties", properties)
    return found


def _object(where: str, told: Any) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise MalformedError(f"{where} must be an object")
    return told


def _text(where: str, told: Any) -> str:
    if told is None:
        raise MalformedError(f"{where} is missing")
    if not isinstance(told, str):
        raise MalformedError(f"{where} must be a string")
    if len(told) > MOST_TEXT:
        raise MalformedError(f"{where} must have at most {MOST_TEXT} characters")
    return told
