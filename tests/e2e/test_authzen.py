"""AuthZEN by `mixer serve`: the corpus of an application with todos, over real HTTP."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from mixer.study.client import HttpConnection, Request, Response
from mixer.study.process import ChildProcess
from mixer.study.service import SERVE
from tests.e2e.stack import START_TIMEOUT_S, Services, adapter

pytestmark = pytest.mark.asyncio(loop_scope="module")

_ROLE = "(has(S.properties.role) ? S.properties.role : 'viewer')"
_OWNS = "(has(R.properties.owner) && R.properties.owner == S.id)"
RULES = {
    "asked-otherwise": "!has(mixer.authzen)",
    "no-such-thing": "!(R.type in ['user', 'todo'])",
    "users-are-only-read": "R.type == 'user' && A.name != 'can_read_user'",
    "viewers-only-read": f"{_ROLE} == 'viewer' && !A.name.startsWith('can_read')",
    "editors-change-their-own": f"{_ROLE} == 'editor' && A.name in ['can_update', 'can_delete']"
    f" && !{_OWNS}",
}


@dataclass(frozen=True)
class Pdp:
    """A service that is running."""

    address: str

    async def send(self, method: str, target: str, body: bytes = b"", *headers: Any) -> Response:
        async with HttpConnection(self.address, 30.0) as connection:
            return await connection.send(Request(method, target, headers, body))

    async def ask(self, path: str, asked: Any) -> Any:
        body = json.dumps(asked).encode()
        kind = ("content-type", "application/json")
        answer = await self.send("POST", f"/access/v1/{path}", body, kind)
        assert answer.status == 200, answer
        return json.loads(answer.body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pdp(services: Services) -> AsyncIterator[Pdp]:
    names = {
        "S": "mixer.authzen.subject",
        "A": "mixer.authzen.action",
        "R": "mixer.authzen.resource",
    }
    rules = [
        {
            "name": name,
            "match": re.sub(r"\b([SAR])\b", lambda found: names[found[1]], match),
            "deny": {"code": 7, "message": name},
        }
        for name, match in RULES.items()
    ]
    listeners = [{"name": "web", "address": "127.0.0.1:0", "protocol": "HTTP"}]
    policy = adapter("policy", "builtin://policy", {"rules": rules})
    config = services.configure("authzen", [policy], listeners=listeners)
    process = await ChildProcess.start("mixer", [*SERVE, str(config)], services.folder / "a.log")
    try:

        async def listens() -> bool:
            return "serving HTTP on" in process.log_text()

        await process.until(listens, START_TIMEOUT_S)
        said = re.search(r"serving HTTP on (127\.0\.0\.1:\d+)", process.log_text())
        assert said is not None
        yield Pdp(said[1])
    finally:
        await process.stop(30.0)


def subject(name: str, role: str | None = None) -> dict[str, Any]:
    properties = {} if role is None else {"properties": {"role": role}}
    return {"type": "user", "id": f"{name}@example.com", **properties}


def todo(owner: str) -> dict[str, Any]:
    return {"type": "todo", "id": "1", "properties": {"owner": f"{owner}@example.com"}}


USER = {"type": "user", "id": "beth@example.com"}
ADMIN, EDITOR, VIEWER = (
    subject(n, r) for n, r in (("rik", "admin"), ("ed", "editor"), ("vi", None))
)

CORPUS = [
    (ADMIN, "can_read_user", USER, True),
    (VIEWER, "can_read_user", USER, True),
    (ADMIN, "can_update", USER, False),
    (VIEWER, "can_read_todos", {"type": "todo", "id": "todo-1"}, True),
    (VIEWER, "can_create", {"type": "todo", "id": "todo-1"}, False),
    (EDITOR, "can_create", {"type": "todo", "id": "todo-1"}, True),
    (EDITOR, "can_update", todo("ed"), True),
    (EDITOR, "can_update", todo("rik"), False),
    (EDITOR, "can_delete", {"type": "todo", "id": "1"}, False),
    (ADMIN, "can_update", todo("ed"), True),
    (ADMIN, "can_delete", todo("ed"), True),
    (ADMIN, "can_read", {"type": "account", "id": "1"}, False),
]


async def test_each_decision(pdp: Pdp) -> None:
    """One by one, and all of them at once, in order."""
    asked = [
        {"subject": who, "action": {"name": what}, "resource": which}
        for who, what, which, _ in CORPUS
    ]
    expected = [decision for *_, decision in CORPUS]
    single = await asyncio.gather(*(pdp.ask("evaluation", one) for one in asked))
    assert [one["decision"] for one in single] == expected
    several = await pdp.ask("evaluations", {"evaluations": asked})
    assert several["evaluations"] == single


async def test_the_semantics(pdp: Pdp) -> None:
    """They end the evaluations where they say."""
    asked: dict[str, Any] = {
        "subject": EDITOR,
        "action": {"name": "can_update"},
        "evaluations": [{"resource": todo(owner)} for owner in ("ed", "rik", "ed")],
    }
    lengths = {"execute_all": 3, "deny_on_first_deny": 2, "permit_on_first_permit": 1}
    for semantic, length in lengths.items():
        found = await pdp.ask(
            "evaluations", asked | {"options": {"evaluations_semantic": semantic}}
        )
        assert [one["decision"] for one in found["evaluations"]] == [True, False, True][:length]


async def test_metadata(pdp: Pdp) -> None:
    """They tell where to ask, at the address that was asked."""
    answer = await pdp.send("GET", "/.well-known/authzen-configuration")
    told = json.loads(answer.body)
    for name, path in (("access_evaluation_endpoint", "evaluation"),
                       ("access_evaluations_endpoint", "evaluations")):  # fmt: skip
        assert told[name] == f"{told['policy_decision_point']}/access/v1/{path}"


async def test_what_is_no_call(pdp: Pdp) -> None:
    """Other methods, other paths, and bodies that are none or too long."""
    json_type = ("content-type", "application/json")
    path = "/access/v1/evaluation"
    found = [
        await pdp.send("GET", path),
        await pdp.send("POST", "/access/v1/search/subject", b"{}", json_type),
        await pdp.send("POST", f"{path}/", b"{}", json_type),
        await pdp.send("POST", path, b"{}", json_type),
        await pdp.send("POST", path, b"", json_type),
        await pdp.send("POST", path, b" " * (5 << 20), json_type),
    ]
    assert [one.status for one in found] == [405, 404, 404, 400, 400, 413]
