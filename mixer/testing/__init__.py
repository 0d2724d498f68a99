"""Running modules in tests, without sockets and without a clock that moves by itself."""
