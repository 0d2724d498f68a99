"""With its cache a client answers as it would without."""

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mixer.client import CheckCacheSettings
from tests.client.model import ModelServer, decide, requests, trees, values
from tests.client.offline import Offline


class CachedAsUncached(RuleBasedStateMachine):
    """Any requests, at any time, of a server that does not change."""

    @initialize(
        tree=trees,
        seconds=st.sampled_from([0.0, 1.0, 10.0]),
        uses=st.sampled_from([-1, 0, 1, 3]),
        entries=st.sampled_from([1, 3, 10_000]),
        sets=st.sampled_from([1, 2, 100]),
    )
    def start(self, tree: Any, seconds: float, uses: int, entries: int, sets: int) -> None:
        self.server = ModelServer(tree, seconds, uses)
        self.client = Offline(
            lambda attributes, _: self.server.answer(attributes),
            check_cache=CheckCacheSettings(entries=entries, reference_sets=sets),
        )
        self.entries = entries

    @rule(request=requests)
    def check(self, request: dict[str, Any]) -> None:
        """What the server would say, whoever says it."""
        result = self.client.check(request)
        code = decide(self.server.tree, request, [])
        assert (result.code, result.message) == (code, f"is {code}")
        assert len(self.client.checks.answers.answers) <= self.entries
        event(f"from cache: {result.from_cache}")

    @rule(request=requests, again=st.integers(2, 5))
    def repeat(self, request: dict[str, Any], again: int) -> None:
        """The same request several times in a row."""
        for _ in range(again):
            self.check(request)

    @rule(seconds=st.sampled_from([0.5, 1.0, 9.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.client.clock.advance(seconds)


class ChangingServer(RuleBasedStateMachine):
    """Any requests, of a server whose configuration changes, and with it what it looks up."""

    @initialize(tree=trees)
    def start(self, tree: Any) -> None:
        self.server = ModelServer(tree, seconds=10.0)
        self.client = Offline(lambda attributes, _: self.server.answer(attributes))
        self.trees = [(self.client.clock.now, tree)]

    @rule(tree=trees)
    def change(self, tree: Any) -> None:
        """From now on the server answers by another tree."""
        self.server.tree = tree
        self.trees.append((self.client.clock.now, tree))

    @rule(request=requests)
    def check(self, request: dict[str, Any]) -> None:
        """The answer is one that the server gave, or would have given, while it holds."""
        code = self.client.check(request).code
        oldest = self.client.clock.now - 10_000_000_000
        ends = [began for began, _ in self.trees[1:]] + [self.client.clock.now + 1]
        valid = {
            decide(tree, request, [])
            for (_, tree), end in zip(self.trees, ends, strict=True)
            if end > oldest
        }
        assert code in valid

    @rule(seconds=st.sampled_from([1.0, 4.0, 11.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.client.clock.advance(seconds)


TestCachedAsUncached = CachedAsUncached.TestCase
TestCachedAsUncached.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestChangingServer = ChangingServer.TestCase
TestChangingServer.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@given(tree=trees, request=requests, data=st.data())
@settings(max_examples=400, deadline=None)
def test_any_change_of_what_was_looked_up_misses(
    tree: Any, request: dict[str, Any], data: st.DataObject
) -> None:
    """Of all that an answer followed from, one thing changed alone is never answered from it."""
    server = ModelServer(tree)
    client = Offline(lambda attributes, _: server.answer(attributes))
    client.check(request)
    references: list[Any] = []
    decide(tree, request, references)
    if not references:
        return
    name, key, _ = data.draw(st.sampled_from(references))
    changed = dict(request)
    if key is None:
        new = data.draw(st.none() | values)
        changed.pop(name, None)
        if new is not None:
            changed[name] = new
    else:
        changed[name] = dict(request[name])
        if key in changed[name]:
            del changed[name][key]
        else:
            changed[name][key] = "new"
    result = client.check(changed)
    seen: list[Any] = []
    assert result.code == decide(tree, changed, seen)
    if _looked_up(references, request) != _looked_up(references, changed):
        assert not result.from_cache


def _looked_up(references: list[Any], request: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, key, _ in references:
        value = request.get(name)
        if key is not None and isinstance(value, dict):
            value = value.get(key)
        shown = sorted(value.items()) if isinstance(value, dict) else value
        found.append((type(value).__name__, repr(shown)))
    return found
