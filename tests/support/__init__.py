"""Guest modules, built as WebAssembly text, and the hosts that run them."""
