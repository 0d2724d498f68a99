"""Configuration: Kubernetes-shaped YAML, loaded and validated as a whole.

``load`` takes a file or a folder. Documents are Istio's WasmPlugin, one for each adapter,
MixerRule, one for each rule, and at most one Mixer with the settings of the service; the fields are
described at ``WasmPluginSpec``, ``AdapterAnnotations``, ``MixerRuleSpec`` and ``MixerSpec``.
"""

from mixer.config.admin import Admin
from mixer.config.cluster import (
    Cluster,
    ClusterLimits,
    ClusterProtocol,
    ClusterTls,
    ClusterType,
    DynamicUpstream,
)
from mixer.config.configuration import Configuration, load, loads
from mixer.config.connection import ConnectionLimits
from mixer.config.decision_log import DecisionLog, DecisionSampling
from mixer.config.higress import HostRules, MatchRule
from mixer.config.http_listener import UNIX_CALLER, HttpSettings
from mixer.config.ledger import LedgerSettings, PostgresqlStore, SqliteStore
from mixer.config.listener import Listener, Protocol
from mixer.config.listener_tls import BELOW, ListenerTls, check_spiffe_id
from mixer.config.load_shedding import (
    LatencyShedding,
    LoadShedding,
    RateShedding,
    SheddingMode,
)
from mixer.config.metadata import AdapterAnnotations, AdapterMeta, LogLevel, MatchRules
from mixer.config.otlp import OtlpReceiver
from mixer.config.plugin import AdapterLimits, WasmPlugin
from mixer.config.problem import ConfigError, Problem
from mixer.config.quota import OnUnavailable, QuotaLease, QuotaState
from mixer.config.rate_limit import QuotaStrategy, RateLimit, RateLimitHeaders, RateLimitQuota
from mixer.config.rule import (
    HeaderAction,
    HeaderOperationTemplate,
    MixerRule,
    MixerRuleSpec,
    RuledAdapter,
)
from mixer.config.service import (
    AdapterDefaults,
    CompileCache,
    DecisionCacheLimits,
    MixerSpec,
    ServiceLimits,
    SharedState,
    Shutdown,
)
from mixer.config.store import LmdbStore, MemoryStore, RedisStore, StateStore
from mixer.config.telemetry import MetricsEndpoint, Otlp, Telemetry
from mixer.config.traces import Traces
from mixer.config.wasmplugin import FailStrategy, Phase, WasmPluginSpec

__all__ = [
    "BELOW",
    "UNIX_CALLER",
    "AdapterAnnotations",
    "AdapterDefaults",
    "AdapterLimits",
    "AdapterMeta",
    "Admin",
    "Cluster",
    "ClusterLimits",
    "ClusterProtocol",
    "ClusterTls",
    "ClusterType",
    "CompileCache",
    "ConfigError",
    "Configuration",
    "ConnectionLimits",
    "DecisionCacheLimits",
    "DecisionLog",
    "DecisionSampling",
    "DynamicUpstream",
    "FailStrategy",
    "HeaderAction",
    "HeaderOperationTemplate",
    "HostRules",
    "HttpSettings",
    "LatencyShedding",
    "LedgerSettings",
    "Listener",
    "ListenerTls",
    "LmdbStore",
    "LoadShedding",
    "LogLevel",
    "MatchRule",
    "MatchRules",
    "MemoryStore",
    "MetricsEndpoint",
    "MixerRule",
    "MixerRuleSpec",
    "MixerSpec",
    "OnUnavailable",
    "Otlp",
    "OtlpReceiver",
    "Phase",
    "PostgresqlStore",
    "Problem",
    "Protocol",
    "QuotaLease",
    "QuotaState",
    "QuotaStrategy",
    "RateLimit",
    "RateLimitHeaders",
    "RateLimitQuota",
    "RateShedding",
    "RedisStore",
    "RuledAdapter",
    "ServiceLimits",
    "SharedState",
    "SheddingMode",
    "Shutdown",
    "SqliteStore",
    "StateStore",
    "Telemetry",
    "Traces",
    "WasmPlugin",
    "WasmPluginSpec",
    "check_spiffe_id",
    "load",
    "loads",
]
