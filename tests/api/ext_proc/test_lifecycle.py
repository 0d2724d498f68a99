"""Which messages may follow which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.ext_proc.errors import ProtocolError
from mixer.api.ext_proc.lifecycle import NEW, TABLE, Action, Part, Phase, State, advance

STEPS = st.tuples(st.sampled_from(Phase), st.booleans())
ORDER = ("headers", "body", "trailers")


class Model:
    """The same in words: headers first and once, nothing after an end, no request after a response
    that came alone.
    """

    def __init__(self) -> None:
        self.began: set[str] = set()
        self.ended: set[str] = set()

    def takes(self, phase: Phase, *, ends: bool) -> bool:
        side, _, part = phase.partition("_")
        if side in self.ended or (part == "headers") == (side in self.began):
            return False
        if part == "headers" and side == "request" and self.began:
            return False
        if part == "trailers" and not ends:
            return False
        self.began.add(side)
        if ends:
            self.ended.add(side)
        return True


@given(st.lists(STEPS, max_size=12))
def test_the_table_against_a_model(steps: list[tuple[Phase, bool]]) -> None:
    """Whatever comes in whatever order: the table takes what the model takes."""
    state, model = NEW, Model()
    for phase, ends in steps:
        if model.takes(phase, ends=ends):
            action, state = advance(state, phase, ends=ends)
            side = phase.partition("_")[0].upper()
            assert action is Action.BYPASS or action.name.endswith(side)
        else:
            with pytest.raises(ProtocolError):
                advance(state, phase, ends=ends)


def test_the_table_is_as_small_as_it_looks() -> None:
    """Every row follows from the state, and no state is a dead one but the last."""
    states = {state for state, *_ in TABLE} | {state for _, state in TABLE.values()}
    finished = {State(Part.ENDED, Part.ENDED), State(Part.NOTHING, Part.ENDED)}
    assert {state for state, *_ in TABLE} == states - finished
    assert {action for action, _ in TABLE.values()} == set(Action)


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        (Phase.RESPONSE_BODY, "response_body_without_request_headers"),
        (Phase.REQUEST_BODY, "request_body_without_request_headers"),
    ],
)
def test_the_reason_names_what_is_missing(phase: Phase, reason: str) -> None:
    """It tells which mode of the filter has to be changed."""
    with pytest.raises(ProtocolError) as caught:
        advance(NEW, phase, ends=True)
    assert caught.value.reason == reason
    _, began = advance(NEW, Phase.REQUEST_HEADERS, ends=True)
    with pytest.raises(ProtocolError, match="response_body_without_response_headers"):
        advance(began, Phase.RESPONSE_BODY, ends=False)
    with pytest.raises(ProtocolError, match="request_headers_out_of_order"):
        advance(began, Phase.REQUEST_HEADERS, ends=False)
