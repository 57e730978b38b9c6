"""The adapter of `wrun` for the test runner of WebAssembly/wasi-testsuite.

`WRUN` names the program, with options before the command if need be. The runner imports this file and calls the
functions below; nothing may be printed here (doc/adapters.md of the suite).
"""

import os
import shlex
import subprocess

WRUN = shlex.split(os.environ.get("WRUN", "wrun"))


def get_name():
    return "wrun"


def get_version():
    output = subprocess.run([WRUN[0], "--version"], capture_output=True, check=True, text=True).stdout
    return output.split()[-1]


def get_wasi_versions():
    return ["wasm32-wasip1"]


def get_wasi_worlds():
    return ["wasi:cli/command"]


def get_timeout_seconds():
    return 30


def compute_argv(test_path, args_env_root, proposals, wasi_world, wasi_version):
    args, env, root = args_env_root
    argv = [*WRUN, "--quiet", "exec"]
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    if root:
        argv += ["--dir", f"{root}::/"]
    return [*argv, str(test_path), *args]
