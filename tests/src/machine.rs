//! What the machine has that the tests need: an interpreter and uv.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::binary;

/// Variables that say how this machine reaches package indexes, which the tests leave as they are.
pub const SETTINGS: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CONFIG_FILE",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "WRUN_TOOL_INDEX",
];

/// The interpreter of the machine: itself, not a script that would look for one in the user's home folder.
#[must_use]
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let code = "import os, sys; print(os.path.realpath(sys.executable))";
        let output = ["python3", "python"]
            .iter()
            .filter_map(|name| Command::new(name).args(["-I", "-c", code]).output().ok())
            .find(|output| output.status.success())
            .expect("the tests need a Python on PATH");
        PathBuf::from(String::from_utf8(output.stdout).expect("a path in UTF-8").trim())
    })
}

/// The `uv` of the machine. If there is none, `wrun` fetches it once, into a store that all tests share.
#[must_use]
pub fn uv() -> &'static Path {
    static UV: OnceLock<PathBuf> = OnceLock::new();
    UV.get_or_init(|| {
        if let Some(path) = std::env::var_os("WRUN_UV") {
            return PathBuf::from(path);
        }
        let wrun = binary::wrun();
        let store = wrun.with_file_name("wrun-tests-tools");
        let output = Command::new(&wrun)
            .args(["--format", "json", "doctor"])
            .env("WRUN_CACHE_DIR", store)
            .output()
            .expect("wrun can be started");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let findings = report
            .get("findings")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let uv = findings
            .iter()
            .find(|finding| finding.get("name").is_some_and(|name| name == "uv"));
        let text = uv.filter(|finding| finding.get("good") == Some(&Value::Bool(true)));
        let text = text.and_then(|finding| finding.get("text")?.as_str()?.split_once(' '));
        let (_, path) =
            text.unwrap_or_else(|| panic!("the tests need uv: install it, or set WRUN_UV ({report})"));
        PathBuf::from(path)
    })
}

/// Whether the tests run as the user who may do everything.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
