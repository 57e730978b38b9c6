#!/usr/bin/env bash
# Builds every guest into out/ and prints one line for each artefact. Safe to run at any time, also twice at once.
#
# Rust guests are built with the toolchain at hand if it has the WebAssembly target or can get it, and otherwise with
# Debian's own Rust, which has to compile the standard library first. GUESTS_RUST=installed or GUESTS_RUST=debian
# asks for one of the two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly target=wasm32-wasip1
readonly commands=(hello noop probe)         # crates that become a module and a component
readonly component_commands=(net-probe)      # crates that are of no use but as a component
readonly texts=(noop-core)                   # modules in the text format, which become both as well
readonly rust_packages=(rustc-web cargo-web rust-web-src wasi-libc lld-22 gcc libc6-dev ca-certificates)
readonly c_packages=(clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc)

# What a caller sets for its own build (coverage, wrappers, another target) is not meant for these.
unset RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
unset CARGO_BUILD_TARGET CARGO_BUILD_RUSTFLAGS CARGO_TARGET_DIR

note() { echo "guests: $*" >&2; }
fail() { note "$*"; exit 1; }

# Whether these packages of Debian are all installed.
have_packages() {
    local package
    for package in "$@"; do
        [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || return 1
    done
}

# Installs what is missing of these packages of Debian.
need_packages() {
    have_packages "$@" && return
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "needs these packages, and root to install them: $*"
        apt=(sudo "${apt[@]}")
    fi
    command -v apt-get >/dev/null || fail "needs what Debian calls: $*"
    note "installing $*"
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } >&2 ||
        fail "could not install: $*"
}

# Whether the Rust toolchain at hand has the standard library for the target.
have_target() {
    local folder
    folder="$(rustc --print target-libdir --target "$target" 2>/dev/null)" && [[ -d "$folder" ]]
}

# Whether it has it, or rustup gets it before one would rather not wait.
can_have_target() {
    have_target && return
    command -v rustup >/dev/null && timeout 60 rustup target add "$target" >&2 && have_target
}

# Compiles C for the target, unless the result is newer than the source.
compile() {
    local source="$1" output="$2"
    [[ "$output" -nt "$source" && "$output" -nt build.sh ]] && return
    need_packages "${c_packages[@]}"
    # clang would rather have the name of the target with a version; Debian's libc has only the one without.
    clang-22 --target=wasm32-wasi -Wno-deprecated --sysroot=/usr -std=c11 -Os -Wall -Wextra -Werror "${@:3}" \
        "$source" -o "$output.new"
    mv "$output.new" "$output"
}

# Says which Rust to use. What is ready comes before what would have to be fetched.
choose_rust() {
    if [[ -n "${GUESTS_RUST:-}" ]]; then
        echo "$GUESTS_RUST"
    elif have_target; then
        echo installed
    elif have_packages "${rust_packages[@]}"; then
        echo debian
    elif can_have_target; then
        echo installed
    else
        echo debian
    fi
}

# Builds crates for the target, and sets `built` to the folder of the modules.
build_rust() {
    local build=(build --quiet --locked --release --target "$target") crate rust
    for crate in "$@"; do
        build+=(--package "$crate")
    done
    rust="$(choose_rust)"
    case "$rust" in
    installed)
        can_have_target || fail "the Rust toolchain has no target $target: rustup target add $target"
        cargo "${build[@]}" --target-dir target
        built="target/$target/release"
        ;;
    debian)
        need_packages "${rust_packages[@]}" "${c_packages[@]}"
        [[ -d target/debian ]] || note "compiling the standard library first, which takes a minute"
        # The target of Debian's Rust comes without a libc of its own, so start-up code and libc are named here.
        local libc=/usr/lib/wasm32-wasi
        local flags="-C linker-flavor=wasm-ld -C link-self-contained=no"
        flags+=" -L$libc -C link-arg=$libc/crt1-command.o -C link-arg=-lc"
        compile debian/cabi_realloc.c target/cabi_realloc.o -c
        flags+=" -C link-arg=target/cabi_realloc.o"
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            CARGO_TARGET_WASM32_WASIP1_LINKER=/usr/bin/wasm-ld-22 CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$flags" \
            /usr/bin/cargo "${build[@]}" --target-dir target/debian -Z build-std=std,panic_abort
        built="target/debian/$target/release"
        ;;
    *) fail "GUESTS_RUST is installed or debian, not $rust" ;;
    esac
}

# Copies a file if it has changed, so that its time says when it did.
publish() {
    cmp -s "$1" "$2" && return
    cp "$1" "$2.new"
    mv "$2.new" "$2"
}

# Runs the host's tool on a file, unless the result is newer than both.
convert() {
    local verb="$1" input="$2" output="$3"
    [[ "$output" -nt "$input" && "$output" -nt "$tool" ]] && return
    "$tool" "$verb" "$input" "$output.new"
    mv "$output.new" "$output"
}

mkdir -p out target/modules
exec {lock}>target/build.lock
flock "$lock"

build_rust "${commands[@]}" "${component_commands[@]}"

# The tool runs here, so it is built with the toolchain of the host, which may be Debian's if there is no other.
cargo build --quiet --locked --package componentize --target-dir target
tool=target/debug/componentize

for name in "${commands[@]}"; do
    publish "$built/$name.wasm" "out/$name.wasm"
    convert encode "out/$name.wasm" "out/$name.component.wasm"
done
for name in "${component_commands[@]}"; do
    publish "$built/$name.wasm" "target/modules/$name.wasm"
    convert encode "target/modules/$name.wasm" "out/$name.component.wasm"
done
for name in "${texts[@]}"; do
    convert assemble "$name/$name.wat" "out/$name.wasm"
    convert encode "out/$name.wasm" "out/$name.component.wasm"
done
compile c-wordcount/wordcount.c out/c-wordcount.wasm -s

for artefact in out/*.wasm; do
    printf '%-36s %9d bytes\n' "guests/$artefact" "$(stat -c %s "$artefact")"
done
