"""Calls of Mixer and of ext_authz meet in one decision cache."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import wasmtime
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.api import mixer_v1
from mixer.config import loads
from mixer.engine import Decision, Engine
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import CALLER, Reference, asked_by, references
from tests.api.test_mixer_v1_corpus import (
    MODULES,
    Outcome,
    Sent,
    as_check,
    ask_ext_authz,
    ask_mixer,
)
from tests.support import adapters as do

Ask = Callable[[Engine, Sent], Outcome]

_OWN = {
    "asks-who": do.adapter(do.where_property("mixer\0caller", CALLER, do.deny(401))),
    "asks-what": do.adapter(do.where_property("mixer\0operation", "check", do.deny(402))),
    "asks-names": do.adapter(do.where_true("'request.useragent' in mixer.attribute", do.deny(403))),
    "asks-after": do.adapter(
        do.remove("user-agent"), do.where_property("request\0useragent", None, do.deny(405))
    ),
    "asks-size": do.adapter(
        do.remove("content-length"), do.where_property("request\0size", None, do.deny(406))
    ),
    "asks-all": do.adapter(do.where_header_bytes(70, do.deny(407))),
}
_ALL = MODULES | _OWN
_NAMES = sorted(_ALL.keys() - {"traps"})
"""What a VM is replaced after follows from the time."""
_SENT = st.builds(
    Sent,
    st.sampled_from(["/", "/a?x=1", "/a"]),
    st.sampled_from(["GET", "POST"]),
    st.dictionaries(
        st.sampled_from(["x-a", "user-agent", "content-length", "content-type", "cookie"]),
        st.sampled_from(["1", "5", "curl", "application/grpc"]),
        max_size=2,
    ),
)
_STREAM = st.lists(
    st.tuples(st.sampled_from([ask_ext_authz, ask_mixer]), _SENT), min_size=1, max_size=12
)


def _engine(folder: Path, names: list[str]) -> Engine:
    documents = [
        {
            "apiVersion": "mixer.dev/v1alpha1",
            "kind": "Mixer",
            "metadata": {"name": "corpus"},
            "spec": {"compileCache": {"directory": "./cache"}},
        }
    ]
    for number, name in enumerate(names):
        (folder / f"{number}.wasm").write_bytes(wasmtime.wat2wasm(_ALL[name]))
        own = {"name": f"m{number}", "annotations": {"mixer.dev/valid-duration": "1h"}}
        spec = {"url": f"./{number}.wasm"}
        plugin = {"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin"}
        documents.append({**plugin, "metadata": own, "spec": spec})
    return Engine(loads(yaml.safe_dump_all(documents), base=folder))


def _references(engine: Engine, sent: Sent) -> tuple[set[Reference], bool]:
    check = mixer_v1.decode_check(as_check(sent), engine.admission, asked_by)
    question = check.question()
    decision = engine.decide(question.request)
    assert isinstance(decision, Decision)
    message = pb.CheckResponse.FromString(mixer_v1.encode_check(check, question, decision))
    return references(message.precondition.referenced_attributes), question.references.volatile


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    names=st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3),
    stream=_STREAM,
)
def test_the_same_answers(names: list[str], stream: list[tuple[Ask, Sent]]) -> None:
    """Whoever asked first, each gets what a service without cache answers."""
    with (
        TemporaryDirectory() as folder,
        _engine(Path(folder), names) as cached,
        _engine(Path(folder), names) as plain,
    ):
        plain.cache.in_use = False
        for ask, sent in stream * 2:
            assert ask(cached, sent) == ask(plain, sent), (ask, sent)


@pytest.mark.parametrize("name", _NAMES)
def test_references_of_a_use(tmp_path: Path, name: str) -> None:
    """An answer from the cache tells callers of everything that it follows from.

    A map that is told as a whole may be so only since changing it takes reading it.
    """
    sent = Sent("/a?x=1", headers={"x-a": "1", "user-agent": "curl", "content-length": "5"})
    with _engine(tmp_path, [name]) as cached, _engine(tmp_path, [name]) as plain:
        plain.cache.in_use = False
        wanted, volatile = _references(plain, sent)
        for ask in (ask_ext_authz, ask_mixer):
            ask(cached, sent)
            told, told_volatile = _references(cached, sent)
            named = {(attribute, key) for attribute, key, _ in told}
            assert {(a, key) for a, key, condition in wanted if condition != "REGEX"} <= named
            assert told_volatile >= volatile
