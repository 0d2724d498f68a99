"""Mixer documents."""

from pathlib import Path

import pytest

from mixer.config import loads
from mixer.config.units import parse_duration, parse_quantity


def test_without_a_mixer_document_there_are_defaults(config, as_plugin):
    """Every setting of the service has a default."""
    found = config(as_plugin()).mixer
    assert [(one.name, one.address) for one in found.listeners] == [("grpc", "127.0.0.1:9000")]
    assert (found.limits.max_message_bytes, found.limits.max_concurrent_rpcs) == (4 << 20, 1024)
    assert (found.shutdown.grace, found.adapter_defaults.cpu_limit) == (5.0, 0.1)


def test_an_empty_spec_is_the_default(mixer, config, as_plugin):
    """`spec:` with nothing below it is a Mixer with defaults."""
    assert mixer("") == config(as_plugin()).mixer


def test_settings_are_read_in_their_units(mixer):
    """Quantities become bytes, durations seconds."""
    found = mixer(
        "limits: {maxMessageBytes: 1Mi, maxConcurrentRpcs: 7}\nshutdown: {grace: 0s}\n"
        "adapterDefaults: {memoryLimit: 2000000, cpuLimit: 5ms, startCpuLimit: 1.5s}"
    )
    assert (found.limits.max_message_bytes, found.limits.max_concurrent_rpcs) == (1 << 20, 7)
    assert found.shutdown.grace == 0.0
    defaults = found.adapter_defaults
    assert (defaults.memory_limit, defaults.cpu_limit) == (2_000_000, 0.005)
    assert defaults.start_cpu_limit == 1.5


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("LocalHost:09000", "localhost:9000"),
        ("'[0:0::1]:9000'", "[::1]:9000"),
        ("unix:/run/mixer.sock", "unix:/run/mixer.sock"),
        ("unix:///run/mixer.sock", "unix:/run/mixer.sock"),
    ],
)
def test_equal_addresses_get_one_notation(mixer, written, address):
    """Addresses are kept in one notation, so that two that are equal compare equal."""
    [listener] = mixer(f"listeners: [{{name: a, address: {written}}}]").listeners
    assert listener.address == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("':9000'", "needs a host"),
        ("127.0.0.1", "must be host:port"),
        ("127.0.0.1:65536", "the port must be from 0 to 65535"),
        ("127.0.0.300:1", "not an IPv4 address"),
        ("'::1:9000'", "must be host:port"),
        ("'[::g]:1'", "not an IPv6 address"),
        ("a_b:1", "must be a DNS name"),
        ("unix:mixer.sock", "the path of a Unix socket must be absolute"),
        (f"unix:/{'x' * 107}", "the path of a Unix socket has at most 107 bytes"),
        ("9000", "must be a string, not an integer"),
    ],
)
def test_other_addresses_are_refused(mixer_refused, address, message):
    """An address that cannot be bound is found before the service starts."""
    [found] = mixer_refused(f"listeners:\n- name: a\n  address: {address}")
    assert found.startswith(f"a.yaml:7: spec.listeners[0].address: {message}")


@pytest.mark.parametrize(
    ("listeners", "message"),
    [
        ("{name: a, address: 'a:1'}, {name: a, address: 'a:2'}", "two listeners have the name 'a'"),
        ("{name: a, address: 'a:1'}, {name: b, address: 'A:1'}", "two listeners have the address"),
        ("", "must have at least 1 item"),
    ],
)
def test_listeners_are_told_apart(mixer_refused, listeners, message):
    """Names and addresses of listeners are unique, and there is at least one."""
    [found] = mixer_refused(f"listeners: [{listeners}]")
    assert found.startswith(f"a.yaml:5: spec.listeners: {message}")


def test_any_free_port_may_be_asked_for_twice(mixer):
    """Port 0 twice is two different ports."""
    spec = "listeners: [{name: a, address: 'a:0'}, {name: b, address: 'a:0'}]"
    assert len(mixer(spec).listeners) == 2


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("limits: {maxMessageBytes: 1Ki}", "spec.limits.maxMessageBytes: must be from 64Ki to"),
        ("limits: {maxIsolatedStreams: 0}", "spec.limits.maxIsolatedStreams: must be at least 1"),
        ("limits: {maxConcurrentRpcs: 0}", "spec.limits.maxConcurrentRpcs: must be at least 1"),
        ("shutdown: {grace: 5}", "spec.shutdown.grace: must be a duration such as"),
        ("shutdown: {grace: 11m}", "spec.shutdown.grace: must be from 0s to 10m, not '11m'"),
        ("adapterDefaults: {memoryLimit: 1Q}", "spec.adapterDefaults.memoryLimit: must be a quan"),
        ("limits: {maxMessageBytes: true}", "spec.limits.maxMessageBytes: must be a quantity"),
        ("listener: []", "spec.listener: unknown field; did you mean 'listeners'?"),
        ("compileCache: {directory: ''}", "spec.compileCache.directory: must not be empty"),
        ("compileCache: {directory: 1}", "spec.compileCache.directory: must be a string"),
    ],
)
def test_wrong_settings_are_refused(mixer_refused, spec, problem):
    """Settings out of their bounds are refused."""
    [found] = mixer_refused(spec)
    assert found.startswith(f"a.yaml:5: {problem}")


def test_the_compile_cache_is_relative_to_the_file(as_mixer):
    """A relative directory is below the folder of the YAML file."""
    found = loads(as_mixer("compileCache: {directory: cache}"), base=Path("/base")).mixer
    assert found.compile_cache.directory == Path("/base/cache")


@pytest.mark.parametrize("spec", ["{}", "compileCache: {directory: null}"])
@pytest.mark.parametrize(
    ("cache_home", "directory"),
    [("/c", "/c/wasm-mixer"), ("relative", "/h/.cache/wasm-mixer"), ("", "/h/.cache/wasm-mixer")],
)
def test_the_compile_cache_is_the_users_by_default(mixer, monkeypatch, spec, cache_home, directory):
    """The XDG specification says where: XDG_CACHE_HOME if it is absolute, or ~/.cache."""
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("XDG_CACHE_HOME", cache_home)
    assert mixer(spec).compile_cache.directory == Path(directory)


def test_there_is_only_one_mixer(text_refused, as_mixer):
    """A second Mixer is refused, with the place of the first."""
    [found] = text_refused("---\n".join([as_mixer("{}"), as_mixer("{}")]))
    assert found == "a.yaml:8: kind: only one Mixer may be configured: the first is at a.yaml:2"


@pytest.mark.parametrize(
    ("text", "size"), [("64Mi", 64 << 20), ("128M", 128_000_000), ("1.5Ki", 1536), ("7", 7)]
)
def test_quantities(text, size):
    """Suffixes are powers of 1024 with i and of 1000 without."""
    assert parse_quantity(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("100ms", 0.1), ("0.5s", 0.5), ("1m30s", 90.0), ("1h", 3600.0)]
)
def test_durations(text, seconds):
    """Parts of a duration add up."""
    assert parse_duration(text) == seconds


def test_permissions_of_a_socket_are_octal(mixer):
    """A Unix socket's mode is written in octal digits, and is None without."""
    [listener] = mixer('listeners: [{name: a, address: "unix:/s", mode: "0660"}]').listeners
    assert listener.mode == 0o660
    [listener] = mixer('listeners: [{name: a, address: "unix:/s"}]').listeners
    assert listener.mode is None


@pytest.mark.parametrize(
    ("listener", "message"),
    [
        ('{name: a, address: "unix:/s", mode: "0999"}', "octal digits"),
        ('{name: a, address: "unix:/s", mode: 660}', "octal digits in quotes"),
        ('{name: a, address: "127.0.0.1:1", mode: "0660"}', "only a unix: address"),
    ],
)
def test_permissions_that_make_no_sense(mixer_refused, listener, message):
    """A mode that is not octal, or of a TCP address, is a problem."""
    [problem] = mixer_refused(f"listeners: [{listener}]")
    assert message in problem


def test_bounds_of_shared_state(mixer):
    """The bounds of shared state are counts and quantities, each with a default."""
    found = mixer("state: {maxKeys: 7, maxQueueBytes: 1Mi}").state
    assert (found.max_keys, found.max_queue_bytes) == (7, 1 << 20)
    assert (found.max_data_bytes, found.max_queue_length) == (64 << 20, 16_384)


def test_defaults_of_shared_state_are_those_of_the_store(mixer):
    """A store that is made without limits has those of a service without configuration."""
    from mixer.engine.sharing import open_stores
    from mixer.proxywasm import ManualScheduler
    from mixer.state import MemorySharedData, StateLimits

    stores = open_stores(mixer("").state, ManualScheduler())
    assert isinstance(stores.data, MemorySharedData)
    assert stores.data._limits == StateLimits()


def test_an_attribute_manifest_adds_names(mixer):
    """Attributes beyond Istio's have a type; to repeat one of Istio's is allowed."""
    found = mixer("attributeManifest: {own.rank: INT64, request.path: STRING}")
    assert found.attribute_manifest == {"own.rank": "INT64", "request.path": "STRING"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{own.rank: INT}", "must be one of STRING, INT64"),
        ("{request.path: INT64}", "request.path is an attribute of Istio, and its type is STRING"),
        ("{'own rank': INT64}", "'own rank' is no name"),
        ("{" + ", ".join(f"a{n}: BOOL" for n in range(1025)) + "}", "at most 1024 names, not 1025"),
    ],
)
def test_attribute_manifests_that_are_refused(mixer_refused, written, message):
    """Unknown types, types that contradict Istio's, and names that are none are told."""
    [problem] = mixer_refused(f"attributeManifest: {written}")
    assert message in problem
