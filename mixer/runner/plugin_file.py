"""The plugin that a run configures: as somebody typed it, or as a WasmPlugin document has it."""

import hashlib
from pathlib import Path

from mixer.config import ConfigError, WasmPlugin, load
from mixer.proxywasm import Compat, LogLevel, PluginSettings
from mixer.runner.inputs import InputError, content
from mixer.runner.plugin import RunPlugin
from mixer.vm import VmLimits

_YAML = (".yaml", ".yml")


def run_plugin(argument: str, module: Path, adapter: str | None) -> RunPlugin:
    """Read ``--config``: text, ``@FILE``, or a YAML ``@FILE`` or ``@FOLDER`` of WasmPlugins.

    Args:
        argument: What was typed.
        module: The file of the module, by which a document is picked.
        adapter: The name of the document to use, or None.

    Raises:
        InputError: The file cannot be read, or no document of it is meant.
    """
    documents = documents_of(argument)
    if documents is None:
        if adapter is not None:
            raise InputError("--adapter names a document of a YAML file: give one with --config")
        return RunPlugin(PluginSettings("run", configuration=content(argument)))
    try:
        plugins = load(documents).plugins
    except ConfigError as error:
        raise InputError(str(error)) from error
    return _settings(_pick(plugins, module, adapter), module)


def documents_of(argument: str) -> Path | None:
    """The YAML file or the folder that ``--config @...`` names, or None where it names neither."""
    path = Path(argument[1:])
    if argument[:1] == "@" and argument[1:] and (path.suffix in _YAML or path.is_dir()):
        return path
    return None


def _pick(plugins: tuple[WasmPlugin, ...], module: Path, adapter: str | None) -> WasmPlugin:
    names = ", ".join(plugin.qualified_name for plugin in plugins) or "none"
    if adapter is not None:
        found = [plugin for plugin in plugins if plugin.qualified_name == adapter]
        why = f"no WasmPlugin {adapter!r}"
    else:
        found = [p for p in plugins if p.module_path.resolve() == module.resolve()]
        several = "several WasmPlugins have" if found else "no WasmPlugin has"
        why = f"{several} the module {module}: name one with --adapter"
    if len(found) != 1:
        raise InputError(f"{why}; there are: {names}")
    return found[0]


def _settings(plugin: WasmPlugin, module: Path) -> RunPlugin:
    digest = hashlib.sha256(module.read_bytes()).hexdigest() if module.is_file() else None
    if digest and plugin.expected_sha256 not in (None, digest):
        raise InputError(str(plugin.problem(("spec", "sha256"), f"the module has {digest}")))
    return RunPlugin(
        PluginSettings(
            name=plugin.plugin_name,
            root_id=plugin.root_id,
            configuration=plugin.configuration,
            allow_on_headers_stop_iteration=plugin.allow_on_headers_stop_iteration,
            compat=Compat(plugin.compat),
        ),
        vm_id=plugin.vm_id,
        environment=plugin.env,
        log_level=LogLevel[plugin.log_level.name],
        limits=VmLimits(memory_bytes=plugin.limits.memory_bytes, cpu=plugin.limits.cpu),
        start_cpu=plugin.limits.start_cpu,
        allowed=plugin.allowed_capabilities,
    )
