#!/usr/bin/env bash
# Fetches the WASI test suite and runs its programs for WASI 0.1 through `wrun exec`. With `--upstream` the suite's own
# runner does it, by the adapter beside this file; it needs Python 3.12 or later with what the suite's
# test-runner/requirements/prod.txt lists.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here="$PWD/tests/conformance"
suite="$("$here/fetch.sh")"

cargo build --locked -p wrun-cli
if [[ "${1:-}" == --upstream ]]; then
    shift
    export WRUN="${WRUN:-$PWD/target/debug/wrun}"
    cd "$suite"
    exec ./run-tests --runtime-adapter "$here/wrun.py" "$@"
fi
WRUN_WASI_TESTSUITE="$suite" exec cargo test --locked -p wrun-tests --test conformance -- --nocapture "$@"
