"""``spec.telemetry`` of the Mixer document."""

import pytest


def test_nobody_is_told_unless_configured(mixer):
    """Without the group, and with an empty one, nothing is offered and nothing is sent."""
    for text in ("", "telemetry: {}", "telemetry: {metrics: {}, otlp: null}"):
        found = mixer(text).telemetry
        assert (found.metrics.address, found.otlp) == (None, None)


def test_settings_are_read_in_their_units(mixer):
    """Addresses get one notation, durations become seconds."""
    found = mixer(
        "telemetry:\n  metrics: {address: 'LocalHost:09102'}\n"
        "  otlp: {endpoint: 'http://collector:4317/', interval: 15s, timeout: 500ms,\n"
        "         resourceAttributes: {zone: a}}"
    ).telemetry
    assert found.metrics.address == "localhost:9102"
    assert found.otlp is not None
    assert found.otlp.endpoint == "http://collector:4317"
    assert (found.otlp.interval, found.otlp.timeout) == (15.0, 0.5)
    assert dict(found.otlp.resource_attributes) == {"zone": "a"}


def test_defaults_of_what_is_sent(mixer):
    """Only the endpoint is needed."""
    found = mixer("telemetry: {otlp: {endpoint: 'https://[::1]:4317'}}").telemetry.otlp
    assert (found.endpoint, found.interval, found.timeout) == ("https://[::1]:4317", 60.0, 10.0)


@pytest.mark.parametrize(
    ("telemetry", "field", "message"),
    [
        ("metrics: {address: '9102'}", "metrics.address", "must be host:port"),
        ("metrics: {address: 'a:1', path: /m}", "metrics.path", "unknown field"),
        ("otlp: {}", "otlp.endpoint", "is required"),
        ("otlp: {endpoint: 'a:4317'}", "otlp.endpoint", "must be http://host:port"),
        ("otlp: {endpoint: 'http://a'}", "otlp.endpoint", "must be http://host:port"),
        ("otlp: {endpoint: 'http://a:99999'}", "otlp.endpoint", "must be http://host:port"),
        ("otlp: {endpoint: 'http://[a:1'}", "otlp.endpoint", "must be http://host:port"),
        ("otlp: {endpoint: 'http://a:1/v1/metrics'}", "otlp.endpoint", "must end after the port"),
        ("otlp: {endpoint: 'http://u:hush@a:1'}", "otlp.endpoint", "must hold no password"),
        ("otlp: {endpoint: 'http://a:1', interval: 10ms}", "otlp.interval", "must be from 1s"),
        ("otlp: {endpoint: 'http://a:1', timeout: 2m}", "otlp.timeout", "must be from 100ms"),
        ("traces: {endpoint: 'http://a'}", "traces.endpoint", "must be http://host:port"),
        ("traces: {endpoint: 'http://u:hush@a:1'}", "traces.endpoint", "must hold no password"),
        ("traces: {endpoint: 'http://a:1', sampling: 1.1}", "traces.sampling", ""),
        ("traces: {endpoint: 'http://a:1', sampling: -1}", "traces.sampling", ""),
        ("traces: {endpoint: 'http://a:1', interval: 1ms}", "traces.interval", "must be from"),
        ("traces: {endpoint: 'http://a:1', timeout: 2m}", "traces.timeout", "must be from 100ms"),
        ("traces: {endpoint: 'http://a:1', queue: 1}", "traces.queue", "unknown field"),
    ],
)
def test_what_is_refused(mixer_refused, telemetry, field, message):
    """Each problem is told with its field, and without what may be a secret."""
    [found] = mixer_refused(f"telemetry:\n  {telemetry}")
    assert f"spec.telemetry.{field}: {message}" in found
    assert "hush" not in found


def test_spans(mixer, mixer_refused):
    """They go where metrics are sent unless told otherwise; somewhere they have to go."""
    found = mixer("telemetry: {traces: {endpoint: 'http://a:1', interval: 1s}}").telemetry.traces
    assert (found.endpoint, found.sampling) == ("http://a:1", 0.01)
    assert (found.interval, found.timeout) == (1.0, 10.0)
    assert mixer("telemetry: {}").telemetry.traces is None
    mixer("telemetry: {otlp: {endpoint: 'http://a:1'}, traces: {sampling: 1}}")
    [refused] = mixer_refused("telemetry: {traces: {sampling: 1}}")
    assert "spec.telemetry: traces.endpoint is required where there is no otlp.endpoint" in refused


def test_metrics_have_an_address_of_their_own(mixer, mixer_refused):
    """The address of a listener is taken; any free port is not."""
    taken = "listeners: [{name: a, address: '127.0.0.1:9000'}]\n"
    [found] = mixer_refused(f"{taken}telemetry: {{metrics: {{address: '127.0.0.1:9000'}}}}")
    assert "spec.telemetry: metrics.address: '127.0.0.1:9000' is the address of a listener" in found
    free = "listeners: [{name: a, address: '127.0.0.1:0'}]\n"
    mixer(f"{free}telemetry: {{metrics: {{address: '127.0.0.1:0'}}}}")


def test_the_decision_log(mixer):
    """Shares are percentages, names of secrets are compared in lower case."""
    log = mixer(
        "telemetry: {decisionLog: {stdout: {}, sampling: {allow: 0.5, story: 100}, secrets: [X-A]}}"
    ).telemetry.decision_log
    assert log is not None
    assert (log.sampling.allow, log.sampling.deny, log.sampling.story) == (0.5, 100.0, 100.0)
    assert log.secrets == ("x-a",)


@pytest.mark.parametrize(
    ("settings", "field", "message"),
    [
        ("{}", "", "must have at least one of stdout, file and otlp"),
        ("{stdout: {}, sampling: {deny: 101}}", ".sampling.deny", "must be at most 100"),
        (
            "{stdout: {}, sampling: {allow: all}}",
            ".sampling.allow",
            "must be a number, not a string",
        ),
        ("{stdout: {}, maxPerSecond: 0}", ".maxPerSecond", "must be at least 1"),
        ("{stdout: {}, secrets: ['']}", ".secrets", "names have 1 to 128"),
        ("{otlp: {endpoint: 'http://u:hush@a:1'}}", ".otlp.endpoint", "must hold no password"),
        ("{file: {}}", ".file.path", "is required"),
    ],
)
def test_what_a_decision_log_refuses(mixer_refused, settings, field, message):
    """Each problem is told with its field."""
    [found] = mixer_refused(f"telemetry:\n  decisionLog: {settings}")
    assert f"spec.telemetry.decisionLog{field}: {message}" in found
    assert "hush" not in found


@pytest.mark.parametrize("address", ["0.0.0.0:9901", "example.com:9901", "[::]:9901"])
def test_admin_is_of_this_machine(mixer_refused, address):
    """Whoever reaches it sees what others asked."""
    [found] = mixer_refused(f"admin: {{address: '{address}'}}")
    assert "spec.admin.address: must be of this machine" in found


def test_admin_has_an_address_of_its_own(mixer_refused):
    """That of a listener, or of the metrics, is taken."""
    listener = "listeners: [{name: a, address: '127.0.0.1:9000'}]"
    [found] = mixer_refused(f"{listener}\nadmin: {{address: '127.0.0.1:9000'}}")
    assert "spec.admin: address: '127.0.0.1:9000' is that of a listener" in found
    metrics = "telemetry: {metrics: {address: '127.0.0.1:9102'}}"
    [found] = mixer_refused(f"{metrics}\nadmin: {{address: '127.0.0.1:9102'}}")
    assert "is that of a listener or of the metrics" in found
