"""What the adapters of a chain said of their answers, taken together."""

from collections.abc import Collection, Mapping

from mixer.engine.adapter import Adapter
from mixer.engine.decision import QuotaStanding
from mixer.engine.said import NONSENSE, NOTHING, Said, SaidError, what_was_said
from mixer.engine.validity import Validity, shortest
from mixer.proxywasm import StreamContext

Contexts = Mapping[Adapter, StreamContext]


def said_by(adapter: Adapter, context: StreamContext) -> Said:
    """What one adapter said; `NONSENSE`, and a failure of it, where it is."""
    try:
        return what_was_said(context.said)
    except SaidError as error:
        adapter.note_failure(str(error))
        return NONSENSE


def validity_of(contexts: Contexts) -> Validity | None:
    """How long the answer of a chain holds: as the shortest; None if one adapter did not say."""
    found = []
    for adapter, context in contexts.items():
        if context.said is None and adapter.says is NOTHING:
            return None
        said = said_by(adapter, context)
        validity = None if said is NONSENSE else said.validity(adapter.says)
        if validity is None:
            return None
        found.append(validity)
    return shortest(found)


def said_themselves(contexts: Contexts, adapters: Collection[Adapter]) -> bool:
    """Whether all of these adapters said themselves how long their answer holds.

    One that looks for the end of a token knows how long that is; its configuration does not.
    """
    return all(
        adapter in contexts and said_by(adapter, contexts[adapter]).duration is not None
        for adapter in adapters
    )


def granted_by(contexts: Contexts) -> int | None:
    """What is granted of a quota: the least that an adapter grants.

    None if none said, or one said what makes no sense.
    """
    said = [said_by(a, c) for a, c in contexts.items() if c.said is not None]
    if any(one is NONSENSE for one in said):
        return None
    return min((one.granted for one in said if one.granted is not None), default=None)


def standing_of(contexts: Contexts) -> QuotaStanding | None:
    """How a quota stands with the adapter that has the least left of it; None if none said."""
    said = [said_by(a, c) for a, c in contexts.items() if c.said is not None]
    told = [one for one in said if one.limit is not None or one.remaining is not None]
    if not told:
        return None
    one = min(told, key=_left)
    return QuotaStanding(one.limit, one.remaining, one.reset, one.window, one.policy)


def _left(said: Said) -> int:
    """Of a limit whose rest is not known, all of it."""
    known = said.limit if said.remaining is None else said.remaining
    return 0 if known is None else known
