//! The options of pip and uv that a `runtime_env` may hold.

/// What an option stands for in a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing: it is about caches and messages, or is so anyway.
    Nothing,
    /// The same, with a value.
    NothingWithValue,
    /// The index in place of the public one.
    DefaultIndex,
    /// One more index.
    Index,
    /// A file of this list of the spec.
    Path(&'static str),
    /// A page or folder with loose wheels.
    Links,
    /// A member of the spec, with a value that the option stands for.
    Set(&'static str, &'static str),
    /// A member of the spec that is true.
    Flag(&'static str),
    /// A member of the spec, with the option's value.
    Value(&'static str),
    /// Packages that are not built from source.
    Wheels,
    /// It cannot be had.
    Refused(&'static str),
}

impl Meaning {
    /// Whether the option is followed by a value.
    pub(super) const fn takes_value(self) -> bool {
        matches!(
            self,
            Self::NothingWithValue
                | Self::DefaultIndex
                | Self::Index
                | Self::Path(_)
                | Self::Links
                | Self::Value(_)
                | Self::Wheels
        )
    }
}

/// What an option of `pip install` or `uv pip install` stands for.
pub(super) fn meaning(tool: &str, option: &str) -> Meaning {
    match option {
        "--no-cache"
        | "--no-cache-dir"
        | "--disable-pip-version-check"
        | "--no-input"
        | "--no-color"
        | "-q"
        | "--quiet"
        | "-v"
        | "--verbose"
        | "-U"
        | "--upgrade"
        | "--no-progress"
        | "--prefer-binary" => Meaning::Nothing,
        "--progress-bar" | "--timeout" | "--retries" | "--cache-dir" | "--upgrade-strategy"
        | "--link-mode" => Meaning::NothingWithValue,
        "-i" | "--index-url" | "--default-index" => Meaning::DefaultIndex,
        "--extra-index-url" | "--index" => Meaning::Index,
        "-f" | "--find-links" => Meaning::Links,
        "-r" | "--requirement" | "--requirements" => Meaning::Path("requirements"),
        "-c" | "--constraint" | "--constraints" => Meaning::Path("constraints"),
        "--overrides" | "--override" if tool == "uv" => Meaning::Path("overrides"),
        "--pre" => Meaning::Set("prerelease", "allow"),
        "--prerelease" => Meaning::Value("prerelease"),
        "--exclude-newer" | "--uploaded-prior-to" => Meaning::Value("exclude-newer"),
        "--require-hashes" => Meaning::Flag("require-hashes"),
        "--no-build" => Meaning::Flag("no-build"),
        "--only-binary" | "--no-build-package" => Meaning::Wheels,
        "-p" | "--python" => Meaning::Value("python"),
        "-e" | "--editable" => {
            Meaning::Refused("an environment is not changed after it was built; give the path as a package")
        }
        "--no-deps" => Meaning::Refused("an environment holds all that its packages require"),
        "--no-build-isolation" => Meaning::Refused("packages are built with what they ask for"),
        "--trusted-host" | "--allow-insecure-host" => {
            Meaning::Refused("certificates are always checked; name those of the host in `SSL_CERT_FILE`")
        }
        "--no-index" => Meaning::Refused("run with `--offline` in its place"),
        _ => Meaning::Refused("it has no counterpart"),
    }
}
