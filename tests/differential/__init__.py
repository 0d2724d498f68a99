"""The same module in Envoy's own Wasm filter and in this host: what it logs must be equal."""
