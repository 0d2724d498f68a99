#!/bin/sh
# Builds the adapters into mixer/modules/, or only those that are named; with
# "all", the conformance test modules into tests/modules/ too (which takes Go,
# npm and Clang).
#
# Rust comes from rustup if its wasm32-wasip1 target is installed, else from a
# distribution's rustc (Debian: rustc, cargo, rust-web-src or rust-src, lld).
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
export CARGO_TARGET_DIR="$root/adapters/target"

fail() {
    echo "build.sh: $1" >&2
    exit 1
}

has_wasip1() {
    command -v rustup >/dev/null && rustup target list --installed | grep -qx wasm32-wasip1
}

find_linker() {
    for linker in wasm-ld wasm-ld-22 wasm-ld-21 wasm-ld-20 wasm-ld-19; do
        if command -v "$linker" >/dev/null; then
            echo "$linker"
            return
        fi
    done
}

# Sets bin (a directory to prefer, or nothing), target, options and flags.
pick_toolchain() {
    if has_wasip1; then
        bin=''
        target=wasm32-wasip1
        options=''
        flags=''
        return
    fi
    bin=/usr/bin
    target=wasm32-unknown-unknown
    # This target has no standard library in the package, so it is built too;
    # stable compilers allow that only with RUSTC_BOOTSTRAP.
    # Nothing can show a panic's message on it, so the messages are left out.
    options='-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size'
    flags='-Zunstable-options -Cpanic=immediate-abort'
    linker=$(find_linker)
    if [ ! -x "$bin/cargo" ] || [ -z "$linker" ] || [ ! -d "$("$bin/rustc" --print sysroot)/lib/rustlib/src" ]; then
        fail 'no Rust toolchain for WebAssembly. Either run "rustup target add wasm32-wasip1", or on Debian "apt-get install rustc cargo rust-web-src lld"'
    fi
    export RUSTC_BOOTSTRAP=1
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker"
}

# Compiler flags, each with a separator after it; a folder's name may hold spaces.
# Remapping keeps this machine's folders out of the modules.
compiler_flags() {
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    sysroot=$(rustc --print sysroot)
    # shellcheck disable=SC2086 # flags is a list
    printf '%s\037' $flags \
        "--remap-path-prefix=$root=mixer" \
        "--remap-path-prefix=$cargo_home/registry/src=crates" \
        "--remap-path-prefix=$sysroot/lib/rustlib/src/rust=rust"
}

# $1: folder of the crate, $2: name of the built file, $3: where it goes
build_rust() {
    # shellcheck disable=SC2086 # options may be empty
    (cd "$1" && cargo build --release --locked --target "$target" $options)
    mkdir -p "$(dirname -- "$3")"
    install -m 644 "$CARGO_TARGET_DIR/$target/release/$2" "$3"
    check_paths "$3"
}

# $1: folder of the module, $2: where it goes
build_go() {
    command -v go >/dev/null || fail 'Go 1.24 or newer is needed for the test modules'
    (cd "$1" && GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath \
        -buildvcs=false -ldflags='-s -w -buildid=' -o "$2" .)
    chmod 644 "$2"
    check_paths "$2"
}

# $1: folder of the module, $2: where it goes
build_assemblyscript() {
    command -v npm >/dev/null || fail 'npm is needed for the test modules'
    (cd "$1" && npm ci --silent && npx --no-install asc index.ts -b "$2" \
        --use abort=abort_proc_exit --optimize --runtime full)
    chmod 644 "$2"
    check_paths "$2"
}

# $1: folder of the module, $2: where it goes
build_cpp() {
    command -v clang++-14 >/dev/null || fail 'Clang with a C++ library for WASI is needed for the test modules: on Debian "apt-get install clang-14 lld-14 wasi-libc libc++-14-dev-wasm32 libc++abi-14-dev-wasm32 libclang-rt-14-dev-wasm32"'
    (cd "$1" && clang++-14 --target=wasm32-wasi -std=c++17 -O2 -fno-exceptions -fno-rtti \
        -mexec-model=reactor -Wall -Wextra -Wl,--strip-all -o "$2" module.cc)
    chmod 644 "$2"
    check_paths "$2"
}

check_paths() {
    for path in "$root/" "$HOME/" /usr/; do
        if [ ${#path} -gt 1 ] && grep -aqF "$path" "$1"; then
            fail "$1 contains the path $path"
        fi
    done
    echo "$1: $(wc -c <"$1") bytes"
}

pick_toolchain
PATH=${bin:+$bin:}$PATH
separated=$(compiler_flags)
export CARGO_ENCODED_RUSTFLAGS="${separated%?}"

adapters='auth billing policy quota telemetry'
case "${1:-all}" in
    all) ;;
    *) adapters=$* ;;
esac
for adapter in $adapters; do
    [ -f "$root/adapters/$adapter/Cargo.toml" ] || fail "no adapter $adapter: there are auth, billing, policy, quota and telemetry"
    build_rust "$root/adapters/$adapter" "mixer_$adapter.wasm" "$root/mixer/modules/$adapter.wasm"
done
if [ "${1:-}" = all ]; then
    modules="$root/tests/modules"
    build_rust "$modules/rust-sdk" rust_sdk.wasm "$modules/rust_sdk.wasm"
    build_rust "$modules/rust-phases" rust_phases.wasm "$modules/rust_phases.wasm"
    build_go "$modules/go-abi" "$modules/go_abi.wasm"
    build_cpp "$modules/cpp-abi" "$modules/cpp_abi.wasm"
    build_assemblyscript "$modules/assemblyscript" "$modules/assemblyscript_sdk.wasm"
fi
