"""Where shared state is kept, as it is configured."""

import os
from pathlib import Path

import pytest

from mixer.config import ConfigError, MixerSpec, RedisStore, loads

SECRET = "hunter2"


def state(text: str, base: Path | None = None, **environ: str) -> MixerSpec:
    """The settings with a state."""
    document = (
        "apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {name: m}\n"
        f"spec:\n  state: {text}\n"
    )
    return loads(document, file="a.yaml", base=base, environ=environ).mixer


def problem(text: str, base: Path | None = None, **environ: str) -> str:
    """The one thing that is wrong with a state."""
    with pytest.raises(ConfigError) as caught:
        state(text, base, **environ)
    (one,) = caught.value.problems
    return str(one)


def redis(text: str, base: Path | None = None, **environ: str) -> RedisStore:
    """A Redis store."""
    found = state(f"{{store: {{redis: {text}}}}}", base, **environ).state.store.redis
    assert found is not None
    return found


def test_memory_is_the_default() -> None:
    """Without a store state is kept in memory, and nothing expires."""
    found = state("{}").state
    assert found.store.memory is not None
    assert (found.store.lmdb, found.store.redis, found.ttl) == (None, None, None)
    assert state("{store: {memory: {}}}") == state("{}")


def test_lmdb(tmp_path: Path) -> None:
    """A path is relative to the file; its file can grow to a GiB unless it is said."""
    found = state("{store: {lmdb: {path: run}}, ttl: 90s}", tmp_path).state
    assert found.store.lmdb is not None
    assert (found.store.lmdb.path, found.store.lmdb.map_size) == (tmp_path / "run", 1 << 30)
    assert found.ttl == 90.0
    sized = state("{store: {lmdb: {path: /run/x, mapSize: 64Mi}}}").state.store.lmdb
    assert sized is not None
    assert (sized.path, sized.map_size) == (Path("/run/x"), 64 << 20)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost", "redis://u@h:6379/15", "rediss://[::1]:6380/0", "unix:///run/r.sock",
        "unix:///run/r.sock?db=3",
    ],
)  # fmt: skip
def test_urls(url: str) -> None:
    """URLs are those of redis-py, without its options."""
    found = redis(f"{{url: '{url}'}}")
    assert (found.location, found.password, found.prefix) == (url, None, "mixer")
    assert (found.timeout, found.start_timeout) == (0.1, 5.0)


def test_secrets(tmp_path: Path) -> None:
    """A URL or password comes from the environment or a file, and is shown nowhere."""
    (tmp_path / "password").write_text(f"{SECRET}\n")
    (tmp_path / "url").write_text(f"redis://:{SECRET}@h/0\r\n")
    of_file = redis("{url: 'redis://h', passwordFrom: {file: password}}", tmp_path)
    of_env = redis("{url: 'redis://h', passwordFrom: {env: P}}", P=SECRET)
    assert of_file.password == of_env.password == SECRET
    urls = [
        redis("{urlFrom: {file: url}}", tmp_path),
        redis("{urlFrom: {env: U}}", U=f"redis://:{SECRET}@h/0"),
        redis(f"{{url: 'redis://:{SECRET}@h/0'}}"),
    ]
    assert {one.location for one in urls} == {f"redis://:{SECRET}@h/0"}
    for one in (of_file, of_env, *urls):
        assert SECRET not in f"{one!r} {one} {MixerSpec()!r}"


_URL = "must be redis://host:port/database, rediss://host:port/database or unix:///path"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{store: {}}", "store: must have one of memory, lmdb and redis"),
        ("{store: {memory: {}, lmdb: {path: x}}}", "store: must have one of memory"),
        ("{store: {lmbd: {path: x}}}", "store.lmbd: unknown field; did you mean 'lmdb'?"),
        ("{store: {memory: {size: 1}}}", "store.memory.size: unknown field"),
        ("{store: {lmdb: {}}}", "store.lmdb.path: is required"),
        ("{store: {lmdb: {path: ''}}}", "store.lmdb.path: must not be empty"),
        ("{store: {lmdb: {path: x, mapSize: 1Mi}}}", "store.lmdb.mapSize: must be from 4Mi to 1Ti"),
        ("{ttl: 5}", "ttl: must be a duration such as 100ms"),
        ("{ttl: 0s}", "ttl: must be from 1ms to 8760h"),
        ("{store: {redis: {}}}", "store.redis: must have one of url and urlFrom"),
        ("{store: {redis: {url: 'redis://h', urlFrom: {env: U}}}}", "store.redis: must have"),
        ("{store: {redis: {url: 'http://h'}}}", f"store.redis.url: {_URL}"),
        ("{store: {redis: {url: 'redis://'}}}", f"store.redis.url: {_URL}"),
        ("{store: {redis: {url: 'redis://h/x'}}}", f"store.redis.url: {_URL}"),
        ("{store: {redis: {url: 'redis://h?a=b'}}}", f"store.redis.url: {_URL}"),
        ("{store: {redis: {url: 'unix://'}}}", f"store.redis.url: {_URL}"),
        ("{store: {redis: {urlFrom: {env: BAD}}}}", f"store.redis: {_URL}"),
        ("{store: {redis: {urlFrom: {}}}}", "store.redis.urlFrom: must have one of env and file"),
        ("{store: {redis: {urlFrom: {env: GONE}}}}",
         "store.redis.urlFrom: there is nothing in the variable GONE"),
        ("{store: {redis: {urlFrom: {file: /nonexistent}}}}",
         "store.redis.urlFrom: /nonexistent cannot be read: No such file or directory"),
        ("{store: {redis: {url: 'redis://:hunter2@h', passwordFrom: {env: U}}}}",
         "store.redis: must have one password"),
        ("{store: {redis: {url: 'redis://h', caFile: ca.pem}}}", "store.redis: caFile is for"),
        ("{store: {redis: {url: 'redis://h', prefix: 'a b'}}}", "store.redis.prefix: must be 1"),
        ("{store: {redis: {url: 'redis://h', timeout: 11s}}}", "store.redis.timeout: must be"),
        ("{store: {redis: {url: 'redis://h', startTimeout: 1h}}}", "store.redis.startTimeout: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(text: str, message: str) -> None:
    """Each mistake names its field and what would be right, and no secret."""
    found = problem(text, U="redis://h", BAD=f"http://{SECRET}")
    assert found.startswith(f"a.yaml:5: spec.state.{message}")
    assert SECRET not in found


@pytest.mark.parametrize("content", [b"x" * 65_537, b"\xff"])
def test_files_of_secrets_are_bounded(tmp_path: Path, content: bytes) -> None:
    """A secret is a little text."""
    (tmp_path / "secret").write_bytes(content)
    found = problem("{store: {redis: {urlFrom: {file: secret}}}}", tmp_path)
    assert found.endswith(("has over 65536 bytes", "is not UTF-8 text"))


def test_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that code makes reads the environment that there is."""
    monkeypatch.setitem(os.environ, "STATE_URL", "redis://h")
    assert RedisStore.model_validate({"urlFrom": {"env": "STATE_URL"}}).location == "redis://h"


def test_counters_of_quotas() -> None:
    """They are where the shared state is, unless they have a store of their own."""
    found = state("{}").state.quota
    assert (found.store, found.max_counters, found.on_unavailable) == (None, 100_000, "LOCAL")
    assert found.lease is None
    text = "{quota: {store: {redis: {url: redis://h}}, lease: {percent: 5, maxAge: 50ms}}}"
    lease = state(text).state.quota.lease
    assert lease is not None
    assert (lease.percent, lease.amount, lease.max_age) == (5, None, 0.05)


REDIS = "store: {redis: {url: redis://h}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{lease: {amount: 5}}", "quota.lease: is for counters in Redis"),
        (f"{{{REDIS}, lease: {{}}}}", "must have one of amount and percent"),
        (f"{{{REDIS}, lease: {{amount: 1, percent: 1}}}}", "must have one of amount and percent"),
        (f"{{{REDIS}, lease: {{percent: 51}}}}", "at most 50"),
        (f"{{{REDIS}, lease: {{amount: 1, maxAge: 2m}}}}", "1m"),
        ("{onUnavailable: MAYBE}", "LOCAL"),
        ("{maxCounters: 0}", "at least 1"),
        ("{store: {}}", "must have one of memory, lmdb and redis"),
    ],
)
def test_counters_of_quotas_that_are_refused(text: str, told: str) -> None:
    """What is wrong is told with its field and the bound."""
    found = problem(f"{{quota: {text}}}")
    assert "spec.state" in found
    assert told in found
