#!/usr/bin/env bash
# Fetches the programs of the WASI test suite, at the commit in the file `pin`, into target/wasi-testsuite (or the
# folder given), and prints the folder. WASI_TESTSUITE_REPOSITORY names another repository to fetch from.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
readonly folder="${1:-$here/../../target/wasi-testsuite}"
readonly repository="${WASI_TESTSUITE_REPOSITORY:-https://github.com/WebAssembly/wasi-testsuite.git}"
commit="$(<"$here/pin")"
readonly commit

[[ "$commit" =~ ^[0-9a-f]{40}$ ]] || { echo "fetch: $here/pin is not a commit" >&2; exit 1; }

if [[ "$(git -C "$folder" rev-parse HEAD 2>/dev/null)" != "$commit" ]]; then
    mkdir -p "$folder"
    git -C "$folder" init --quiet
    # Only what is run: of the quarter of a gigabyte in all, the part for WASI 0.1.
    git -C "$folder" sparse-checkout set --no-cone '/test-runner/' '/run-tests' '/adapters/' \
        '/tests/*/testsuite/wasm32-wasip1/'
    git -C "$folder" fetch --quiet --depth 1 --filter=blob:none "$repository" "$commit"
    git -C "$folder" -c advice.detachedHead=false checkout --quiet --force "$commit"
fi
(cd "$folder" && pwd)
