"""WasmPlugin documents."""

from pathlib import Path

import pytest

from mixer.config import FailStrategy, LogLevel, Phase, loads
from mixer.config import module as module_files

SHA = "AB" * 32


def test_a_minimal_plugin_has_istios_defaults(plugin):
    """Only name and url are needed."""
    found = plugin()
    assert (found.phase, found.priority) == (Phase.UNSPECIFIED, 0)
    assert found.fail_strategy is FailStrategy.FAIL_CLOSE
    assert (found.configuration, dict(found.env), found.expected_sha256) == (b"", {}, None)
    assert (found.limits.memory_bytes, found.limits.cpu, found.limits.start_cpu) == (
        128 << 20,
        0.1,
        10.0,
    )
    assert (found.vm_id, found.root_id, found.log_level) == ("", "", LogLevel.INFO)
    assert found.allow_on_headers_stop_iteration is False


def test_names(plugin):
    """The qualified name has the namespace; the plugin name falls back to the name."""
    found = plugin(metadata="name: a.b, namespace: ns")
    assert (found.qualified_name, found.plugin_name, found.root_id) == ("ns/a.b", "a.b", "")
    found = plugin("pluginName: root")
    assert (found.qualified_name, found.plugin_name, found.root_id) == ("a", "root", "root")


def test_what_kubectl_prints_is_accepted(config, as_plugin):
    """Fields that the API server sets, status, and lists of resources are accepted."""
    metadata = (
        "name: a, uid: x, resourceVersion: '1', generation: 2, managedFields: [{}],"
        " creationTimestamp: 2024-01-01T00:00:00Z, annotations: {kubectl.kubernetes.io/x: y}"
    )
    item = as_plugin("priority: null", metadata=metadata) + "status: {conditions: []}\n"
    listed = "".join(f"  {line}\n" for line in item.splitlines())
    text = f"apiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n-{listed[1:]}"
    [found] = config(text).plugins
    assert (found.name, found.line, found.priority) == ("a", 5, 0)


def test_problems_in_a_list_name_the_item(text_refused):
    """A problem in an item of a list has its path from the top of the file."""
    text = "apiVersion: v1\nkind: List\nitems:\n- kind: Mixr\n- 3\n"
    assert text_refused(text) == [
        "a.yaml:4: items[0].kind: unknown kind: must be one of WasmPlugin, MixerRule, Mixer, List, "
        "not 'Mixr'; did you mean 'Mixer'?",
        "a.yaml:5: items[1]: must be a mapping, not an integer",
    ]


def test_a_kind_that_is_no_text(text_refused):
    """A kind of another type is a problem as any other."""
    (problem,) = text_refused("apiVersion: v1\nkind: {a: b}\n")
    assert problem.startswith("a.yaml:2: kind: unknown kind: must be one of ")
    assert problem.endswith(", not a mapping")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            "phase: AUTH",
            "6: spec.phase: must be one of UNSPECIFIED_PHASE, AUTHN, AUTHZ, STATS, not 'AUTH'",
        ),
        (
            "phase: 1",
            "6: spec.phase: must be one of UNSPECIFIED_PHASE, AUTHN, AUTHZ, STATS, not an integer",
        ),
        (
            "failStrategy: FAIL_OPN",
            "6: spec.failStrategy: must be one of FAIL_CLOSE, FAIL_OPEN, FAIL_RELOAD, "
            "not 'FAIL_OPN'; did you mean 'FAIL_OPEN'?",
        ),
        ("failstrategy: X", "6: spec.failstrategy: unknown field; did you mean 'failStrategy'?"),
        ("plugin_name: x", "6: spec.plugin_name: unknown field; did you mean 'pluginName'?"),
        ("zzz: x", "6: spec.zzz: unknown field"),
        ("priority: '1'", "6: spec.priority: must be an integer, not a string"),
        ("priority: true", "6: spec.priority: must be an integer, not a boolean"),
        ("priority: 2147483648", "6: spec.priority: must be at most 2147483647"),
        (
            "type: TCP",
            "6: spec.type: must be one of UNSPECIFIED_PLUGIN_TYPE, HTTP, NETWORK, not 'TCP'",
        ),
        ("sha256: abc", "6: spec.sha256: must be 64 hexadecimal digits, not 3 characters"),
        ("pluginConfig: [1]", "6: spec.pluginConfig: must be a mapping"),
        ("pluginName: ''", "6: spec.pluginName: must not be empty"),
        ("match:\n- ports:\n  - number: 0", "8: spec.match[0].ports[0].number: must be at least 1"),
        (
            "selector: {matchLabels: [a]}",
            "6: spec.selector.matchLabels: must be a mapping, not a li",
        ),
        ("vmConfig: []", "6: spec.vmConfig: must be a mapping, not a list"),
        ("targetRefs: {}", "6: spec.targetRefs: must be a list, not a mapping"),
        ("selector:\n  matchLabel: {}", "7: spec.selector.matchLabel: unknown field; did you mean"),
        ("vmConfig:\n  env:\n  - value: x", "8: spec.vmConfig.env[0].name: is required"),
        ("vmConfig:\n  env: [{name: A}, {name: A}]", "7: spec.vmConfig.env: names must be unique"),
        ("vmConfig: {env: [{name: 1A}]}", "6: spec.vmConfig.env[0].name: must be a C identifier"),
        (
            "vmConfig: {env: [{name: A, valueFrom: HOST, value: ''}]}",
            "6: spec.vmConfig.env[0]: value may only be set when valueFrom is INLINE",
        ),
        ("selector: {}\ntargetRef: {kind: K, name: n}", "4: spec: only one of selector, targetRef"),
    ],
)
def test_a_wrong_field_is_told_with_its_line(refused, spec, problem):
    """What is wrong with a field is told at its line, with the nearest valid word."""
    [found] = refused(spec)
    assert found.startswith(f"a.yaml:{problem}")


def test_all_problems_are_told_at_once(refused):
    """Loading does not stop at the first problem."""
    found = refused("phase: X\npriority: x\nsha256: x", metadata="name: A", url="")
    fields = [one.split(": ")[1] for one in found]
    assert fields == ["metadata.name", "spec.url", "spec.phase", "spec.priority", "spec.sha256"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("./x.wasm", "/base/x.wasm"),
        ("x.wasm", "/base/x.wasm"),
        ("/opt/x", "/opt/x"),
        ("file:///opt/a%20b.wasm", "/opt/a%20b.wasm"),
        ("file://sub/x.wasm", "/base/sub/x.wasm"),
    ],
)
def test_the_module_is_found_relative_to_the_file(as_plugin, url, path):
    """A relative path is relative to the folder of the YAML file."""
    [found] = loads(as_plugin(url=url), base=Path("/base")).plugins
    assert found.module_path == Path(path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("oci://r/x:1", "oci:// is not supported yet; download it and use file://"),
        ("https://u:hunter2@r/x", "https:// is not supported yet; download it and use file://"),
        ("registry.local/x:1", "without a scheme this is an OCI image"),
        ("ftp://x", "unknown scheme 'ftp'"),
        ("builtin://../x", "no such module is shipped with the service; there are: auth"),
        ("file://", "needs a path after file://"),
        ("''", "without a scheme"),
        ('"./a\\0"', "must not contain control characters"),
    ],
)
def test_other_urls_are_refused(refused, monkeypatch, tmp_path, url, message):
    """What cannot be run yet says what to do instead, and never tells the URL."""
    (tmp_path / "auth.wasm").touch()
    monkeypatch.setattr(module_files, "BUILTIN_MODULES", tmp_path)
    [found] = refused(url=url)
    assert found.startswith(f"a.yaml:5: spec.url: {message}")
    assert "hunter2" not in found


def test_modules_shipped_with_the_service_have_names(plugin, monkeypatch, tmp_path):
    """builtin:// names a module of the package."""
    (tmp_path / "auth.wasm").touch()
    monkeypatch.setattr(module_files, "BUILTIN_MODULES", tmp_path)
    assert plugin(url="builtin://auth").module_path == tmp_path / "auth.wasm"


@pytest.mark.parametrize("text", [SHA, f"sha256:{SHA}"])
def test_a_checksum_is_given_in_lower_case(plugin, text):
    """The prefix is optional, and case does not matter."""
    assert plugin(f"sha256: {text}").expected_sha256 == SHA.lower()


def test_annotations_set_the_limits_of_one_adapter(config, as_plugin, as_mixer):
    """An annotation wins over the defaults of the Mixer document."""
    defaults = as_mixer("adapterDefaults: {memoryLimit: 32Mi, cpuLimit: 20ms}")
    one = as_plugin(
        metadata="name: a, annotations: {mixer.dev/memory-limit: 64Mi, mixer.dev/vm-id: v, "
        "mixer.dev/root-id: '', mixer.dev/allow-on-headers-stop-iteration: 'true', "
        "mixer.dev/start-cpu-limit: 1m, mixer.dev/log-level: debug, other.dev/x: y}"
    )
    [found] = config(one, defaults).plugins
    assert (found.limits.memory_bytes, found.limits.cpu) == (64 << 20, 0.02)
    assert (found.limits.start_cpu, found.vm_id, found.log_level) == (60.0, "v", LogLevel.DEBUG)
    assert found.allow_on_headers_stop_iteration is True


def test_annotations_set_the_life_of_a_vm(plugin):
    """What a VM is shared, replaced and run for is an annotation; without any it is Envoy's."""
    found = plugin(
        metadata="name: a, annotations: {mixer.dev/vm-config: xyz, mixer.dev/max-vm-memory: 8Mi, "
        "mixer.dev/max-vm-age: 1h, mixer.dev/reload-backoff: 2s, mixer.dev/service: singleton}"
    )
    annotations = found.metadata.annotations
    assert (annotations.max_vm_memory, annotations.max_vm_age) == (8 << 20, 3600.0)
    assert (found.vm_configuration, annotations.reload_backoff) == (b"xyz", 2.0)
    assert (found.is_service, found.has_vm_for_each_stream) == (True, False)
    plain = plugin()
    annotations = plain.metadata.annotations
    assert (annotations.max_vm_memory, annotations.max_vm_age) == (None, None)
    assert (plain.vm_configuration, annotations.reload_backoff) == (b"", 1.0)
    assert (plain.is_service, plain.has_vm_for_each_stream) == (False, False)
    isolated = plugin(metadata="name: a, annotations: {mixer.dev/isolation: request}")
    assert isolated.has_vm_for_each_stream


def test_the_configuration_of_a_vm_is_not_shown(plugin):
    """It may hold secrets, as that of a plugin."""
    found = plugin(metadata="name: a, annotations: {mixer.dev/vm-config: hunter2}")
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("other", ["service: singleton", "max-vm-age: 1h", "max-vm-memory: 1Mi"])
def test_what_a_vm_of_one_stream_cannot_have(refused, other):
    """A VM that ends with its stream is no service, and has no age."""
    both = f"mixer.dev/isolation: request, mixer.dev/{other}"
    [found] = refused(metadata=f"name: a, annotations: {{{both}}}")
    name = other.split(":")[0]
    assert f"mixer.dev/{name} has no meaning with mixer.dev/isolation: request" in found
    assert found.startswith("a.yaml:3: metadata.annotations: ")


@pytest.mark.parametrize("other", ["service: singleton", "isolation: request", "quotas: '*'"])
def test_what_an_access_logger_cannot_have(refused, other):
    """What is only told of what is over serves nothing, and has one root context."""
    both = f"mixer.dev/access-logger: 'true', mixer.dev/{other}"
    [found] = refused(metadata=f"name: a, annotations: {{{both}}}")
    name = other.split(":")[0]
    assert f"mixer.dev/{name} has no meaning with mixer.dev/access-logger" in found


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("isolation: stream", "must be one of shared, request, not 'stream'"),
        ("service: always", "must be singleton, not 'always'"),
        ("reload-backoff: 1ms", "must be from 10ms to 1h, not '1ms'"),
        ("max-vm-age: 10ms", "must be from 1s to 8760h, not '10ms'"),
        ("max-vm-memory: 1Ki", "must be from 1Mi to 4Gi, not '1Ki'"),
        ("memory-limit: 512Ki", "must be from 1Mi to 4Gi, not '512Ki'"),
        ("memory-limit: 134217728", "annotations are strings: put quotes around it"),
        ("cpu-limit: '100'", "must be a duration such as 100ms, 0.5s or 2s, not '100'"),
        ("cpu-limit: 61s", "must be from 1ms to 60s, not '61s'"),
        ("cpu-limt: 1s", "unknown field; did you mean 'mixer.dev/cpu-limit'?"),
        ("log-level: loud", "must be one of trace, debug, info, warn, error, critical, not 'loud'"),
        ("allow-on-headers-stop-iteration: 'yes'", "must be one of true, false, not 'yes'"),
    ],
)
def test_a_wrong_annotation_of_ours_is_refused(refused, annotation, message):
    """Our annotations are checked like fields."""
    [found] = refused(metadata=f"name: a, annotations: {{mixer.dev/{annotation}}}")
    name = annotation.split(":")[0]
    assert found == f"a.yaml:3: metadata.annotations[mixer.dev/{name}]: {message}"


def test_what_has_no_effect_is_noticed(config, as_plugin):
    """Fields for a mesh are accepted, and a notice says why they do little or nothing."""
    text = as_plugin("selector: {matchLabels: {a: b}}\nimagePullSecret: s\nphase: AUTHN")
    second, first = map(str, config(text, file="a.yaml").notices)
    assert first.startswith("a.yaml:6: spec.selector: excludes only requests whose caller tells")
    assert second.startswith("a.yaml:7: spec.imagePullSecret: has no effect: ")


def test_traffic_selectors_are_kept(config, as_plugin):
    """Mode and ports are for the engine to match, so that there is no notice about them."""
    found = config(as_plugin("match:\n- mode: SERVER\n  ports: [{number: 80}]\n- {}"))
    first, second = found.plugins[0].spec.match
    assert (first.mode, [port.number for port in first.ports]) == ("SERVER", [80])
    assert (second.mode, second.ports) == ("UNDEFINED", ())
    assert found.notices == ()


def test_the_environment_of_the_service_is_read_at_load(config, as_plugin):
    """HOST takes the value from the service; a variable that is not set is left out."""
    text = as_plugin(
        "vmConfig:\n  env:\n  - {name: A, value: x}\n  - {name: B}\n"
        "  - {name: C, valueFrom: HOST}\n  - {name: D, valueFrom: HOST}\n"
        "  - {name: E, valueFrom: HOST}"
    )
    found = config(text, environ={"A": "no", "C": "yes", "E": "\udcff"}, file="a.yaml")
    assert dict(found.plugins[0].env) == {"A": "x", "B": "", "C": "yes"}
    assert [(one.line, one.field) for one in found.notices] == [
        (11, "spec.vmConfig.env[3].name"),
        (12, "spec.vmConfig.env[4].name"),
    ]


def test_plugins_are_in_the_order_of_phase_priority_and_name(config, as_plugin):
    """Phase first, then higher priority, then namespace and name."""
    made = [
        ("last", ""),
        ("stats", "phase: STATS"),
        ("z", "phase: AUTHZ\npriority: 5"),
        ("b", "phase: AUTHZ"),
        ("a", "phase: AUTHZ\npriority: 0"),
        ("low", "phase: AUTHZ\npriority: -1"),
        ("n", "phase: AUTHN\npriority: -100"),
    ]
    texts = [as_plugin(spec, metadata=f"name: {name}") for name, spec in made]
    names = [one.name for one in config(*texts).plugins]
    assert names == ["n", "z", "a", "b", "low", "stats", "last"]


def test_equal_names_are_refused(text_refused, as_plugin):
    """Two plugins with one name are refused, with both places; a namespace tells them apart."""
    other = as_plugin(metadata="name: a, namespace: b")
    [found] = text_refused("---\n".join([as_plugin(), other, as_plugin("phase: STATS")]))
    assert found == "a.yaml:17: metadata.name: the name is taken: the first is at a.yaml:3"
