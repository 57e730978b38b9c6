//! The variables that steer `wrun`; the source of the reference page.

/// Each variable, and what it does.
pub const TABLE: &[(&str, &str)] = &[
    (
        "WRUN_CACHE_DIR",
        "The store's folder. Default: `wrun` in `XDG_CACHE_HOME`, else `~/.cache/wrun`.",
    ),
    (
        "WRUN_OFFLINE",
        "Set to `1` to never touch the network, as with `--offline`.",
    ),
    (
        "WRUN_PYTHON",
        "The path of the interpreter that Python environments are built on, if the task asks for no other.",
    ),
    (
        "WRUN_UV",
        "The `uv` program to use, in place of the one on `PATH`.",
    ),
    (
        "WRUN_TOOL_INDEX",
        "The package index that `uv` and `pip` are fetched from when the machine has none, or none that is new enough. Default: the index that the machine \
         is set up with, else the Python package index.",
    ),
    (
        "WRUN_INSTALL_HOSTS",
        "Hosts with their ports that installers may reach beside those of the index, for instance `cdn.example.org:443`, separated \
         by commas: for an index that keeps its files elsewhere.",
    ),
    (
        "WRUN_HTTP_TIMEOUT",
        "How long a server may take for the next bytes of an answer, for instance `2m`. An answer has to bring at least \
         8192 bytes in that time, or it is too slow. Three attempts are made, by uv and pip two. Default: 30 seconds.",
    ),
    (
        "WRUN_ACTIVATION_TIME",
        "How long all activation scripts of a conda environment together may take when it is built, for instance `5m`. Default: a \
         minute.",
    ),
    (
        "WRUN_COMPILE_TIME",
        "How long the compilation of one WebAssembly guest may take, for instance `30m`. Default: five minutes.",
    ),
    (
        "WRUN_COMPILE_MEMORY",
        "How much memory the compilation of one WebAssembly guest may take, for instance `16GiB`. Default: 4 GiB.",
    ),
    (
        "WRUN_INDEX_<NAME>_USERNAME",
        "The user name for the index or credential `<NAME>` of a task.",
    ),
    (
        "WRUN_INDEX_<NAME>_PASSWORD",
        "The password or token for the index or credential `<NAME>` of a task. Never stored, hashed, logged or shown.",
    ),
    (
        "WRUN_JOBS",
        "How many tasks `wrun submit` runs side by side, as with `--jobs`.",
    ),
    (
        "WRUN_LOG",
        "What to trace on standard error, for instance `debug` or `wrun_provision=trace`.",
    ),
    (
        "NO_COLOR",
        "Set to anything to write without colour (<https://no-color.org>).",
    ),
    (
        "UV_DEFAULT_INDEX, UV_INDEX_URL, PIP_INDEX_URL",
        "The machine's package index, if the task names none: the first one set. It is part of the environment's key.",
    ),
    (
        "CONDA_OVERRIDE_<NAME>",
        "The version of the virtual package `<NAME>` (`CUDA`, `GLIBC`, `LINUX`, `ARCHSPEC`, …) for `env.conda`, in place of what is \
         found on this machine; empty hides it.",
    ),
    (
        "CONDA_ENVS_DIRS, CONDA_ENVS_PATH, CONDA_EXE, MAMBA_ROOT_PREFIX",
        "Where an environment that `env.conda` refers to by its name is looked for, beside the usual folders.",
    ),
    (
        "REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, DOCKER_CONFIG",
        "Where `podman login` and `docker login` kept how to log in to registries of images, for `env.container`, beside the usual \
         files.",
    ),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "Certificates to trust in place of the system's.",
    ),
    (
        "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY",
        "Proxies for everything that wrun and its installers fetch.",
    ),
];

/// Each variable that a native task gets by itself, and what it is; the source of the same page.
pub const OF_TASKS: &[(&str, &str)] = &[
    ("HOME", "The scratch folder, which is fresh in every run."),
    ("TMPDIR", "The scratch folder too."),
    ("LANG", "`C.UTF-8`."),
    (
        "PATH",
        "The folders of the environment's programs, then those of the system.",
    ),
    ("WRUN_RUN", "The run, by which what is left of it is found."),
    (
        "HTTP_PROXY",
        "With hosts in `allow.net`: the proxy that lets the task reach them. Also in lower case.",
    ),
    ("HTTPS_PROXY", "The same, for `https://`."),
    ("ALL_PROXY", "The same, for everything else (SOCKS5)."),
    (
        "NO_PROXY",
        "The task's own loopback addresses, which need no proxy.",
    ),
];

/// Each variable that a WebAssembly task gets by itself, and what it is; the source of the same page.
pub const OF_GUESTS: &[(&str, &str)] = &[
    ("HOME", "`/tmp`: the scratch folder, which is fresh in every run."),
    ("TMPDIR", "The same."),
];
