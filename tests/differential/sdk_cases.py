"""What is sent through the modules that were built with SDKs."""

from tests.higress.cases import Case, Expected, Request, Response, Step, refused

_ANSWER = Response((b"answer",), (("content-type", "text/plain"), ("x-extra", "1")))

ASSEMBLYSCRIPT = Case(
    "assemblyscript_sdk",
    "upstream",
    (
        Step(
            Request("/a?b=c", (("x-remove", "1"), ("x-replace", "1"))),
            Expected(
                sent={"x-count": "1", "x-path": "/a", "x-remove": None, "x-replace": "replaced"},
                headers={"x-of": "/a?b=c", "content-length": None},
                body=b"<hello>",
            ),
        ),
        Step(
            Request("/deny"), refused(403, b"<blocked by module>", {"x-module": "assemblyscript"})
        ),
        Step(
            Request("/post", body=b"some text"),
            Expected(sent={"x-count": "2"}, sent_body=b"SOME TEXT", body=b"<onetwo>"),
            Response((b"one", b"two")),
        ),
        Step(
            Request("/trailers", body=b"some text", trailers=(("x-sum", "7"),)),
            Expected(sent={"x-count": "3"}),
        ),
        Step(Request("/ask"), Expected(sent={"x-count": "4", "x-answer": "answer"})),
    ),
    answer=_ANSWER,
    ends="deleted",
    events=frozenset(
        ["tick", *(f"message {path}" for path in ("/a?b=c", "/post", "/trailers", "/ask"))]
    ),
)

_PATHS = (
    "/a?b=c", "/post", "/trailers",
    "/http", "/http-unknown", "/grpc", "/grpc-fails", "/grpc-unknown",
)  # fmt: skip


def _asks(path: str, **sent: str | None) -> Step:
    return Step(Request(path), Expected(sent={n.replace("_", "-"): v for n, v in sent.items()}))


RUST = Case(
    "rust_phases",
    "upstream grpc",
    (
        Step(
            Request("/a?b=c", (("x-remove", "1"), ("x-replace", "1"))),
            Expected(
                sent={"x-count": "1", "x-path": "/a", "x-remove": None, "x-replace": "replaced"},
                headers={"x-of": "/a?b=c", "content-length": None},
                body=b"hello!",
            ),
        ),
        Step(Request("/deny"), refused(403, b"blocked by module!", {"x-module": "rust"})),
        Step(
            Request("/post", body=b"some text"),
            Expected(sent={"x-count": "2"}, sent_body=b"txet emos", body=b"onetwo!"),
            Response((b"one", b"two")),
        ),
        Step(
            Request("/trailers", body=b"some text", trailers=(("x-sum", "7"),)),
            Expected(sent={"x-count": "3"}),
        ),
        _asks("/http", x_answer="answer"),
        _asks("/http-unknown", x_answer=None),
        _asks("/grpc", x_grpc="0"),
        _asks("/grpc-fails", x_grpc="12"),
        _asks("/grpc-unknown", x_grpc=None),
    ),
    answer=_ANSWER,
    ends="done",
    events=frozenset(["vm start 0 None", "tick", *(f"message {path}" for path in _PATHS)]),
)

CPP = Case(
    "cpp_abi",
    "upstream",
    (
        Step(
            Request("/a?b=c", (("x-remove", "1"),)),
            Expected(
                sent={"x-path": "/a", "x-remove": None},
                headers={"x-of": "/a?b=c", "content-length": None},
                body=b"hello?",
            ),
        ),
        Step(Request("/deny"), refused(403, b"blocked by module?", {"x-module": "cpp"})),
        Step(
            Request("/post", body=b"some text"),
            Expected(sent_body=b" eemosttx", body=b"onetwo?"),
            Response((b"one", b"two")),
        ),
        _asks("/ask", x_answer="answer"),
    ),
    answer=_ANSWER,
    ends="deleted",
    events=frozenset(["tick"]),
)

CASES = {"assemblyscript": ASSEMBLYSCRIPT, "rust": RUST, "cpp": CPP}
