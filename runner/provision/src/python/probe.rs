//! Asks an interpreter what it is, once per file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wrun_core::tool::{Interpreter, VirtualEnvironment};

use crate::error::ProvisionError;
use crate::files::FileIdentity;
use crate::host::TaskHost;
use crate::inside::Inside;
use crate::spawn::{tail, written};

/// The program that an interpreter is asked with. Raise [`REVISION`] whenever it says something else.
const SCRIPT: &str = include_str!("probe.py");

/// The revision of what is remembered of an interpreter.
const REVISION: &str = "3";

/// The exit code of Python for options that it does not know; Python 2 does not know `-I`.
const USAGE_ERROR: i32 = 2;

/// What is known of an interpreter.
#[derive(Debug, Clone)]
pub(crate) struct Probed {
    /// What it said of itself.
    pub(crate) interpreter: Interpreter,
    /// Where it says that it is itself.
    pub(crate) executable: PathBuf,
    /// Folders where it keeps the wheels of pip, whether they exist or not.
    pub(crate) wheel_folders: Vec<PathBuf>,
}

/// What a file turned out to be.
pub(crate) enum Verdict {
    /// An interpreter.
    Interpreter(Box<Probed>),
    /// None that can be used, and why.
    Unusable(String),
}

/// What is remembered of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Remembered {
    Interpreter(Box<Said>),
    Unusable { unusable: String },
}

/// The output of the script.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Said {
    implementation: String,
    version: String,
    soabi: String,
    libc: String,
    platform: String,
    markers: BTreeMap<String, String>,
    executable: PathBuf,
    base_prefix: String,
    has_venv: bool,
    has_ensurepip: bool,
    virtual_environment: Option<VirtualEnvironment>,
    wheel_folders: Vec<PathBuf>,
}

impl TaskHost {
    /// Asks an interpreter what it is. A file that was asked before and has not changed is not started again.
    ///
    /// # Errors
    /// The user ended it, or the store failed. A file that is no interpreter is a verdict.
    pub(crate) async fn probe_python(&self, path: &Path) -> Result<Verdict, ProvisionError> {
        let identity = match FileIdentity::of(path) {
            Ok(identity) => identity,
            Err(error) => return Ok(Verdict::Unusable(error.to_string())),
        };
        let key = identity.key(REVISION);
        self.known_or_asked(path, &identity, &key).await
    }

    /// Asks an interpreter of an image what it is: a program on the image's search path, or a path in it. An image that
    /// was asked before is not asked again, for it does not change.
    ///
    /// # Errors
    /// As for [`TaskHost::probe_python`].
    pub(super) async fn probe_python_inside(
        &self,
        program: &Path,
        inside: &Inside,
    ) -> Result<Verdict, ProvisionError> {
        let identity = FileIdentity {
            canonical: program.to_owned(),
            size: 0,
            modified_ns: 0,
            inode: 0,
        };
        let key = identity.key(&format!("{REVISION}\0{}", inside.identity));
        self.known_or_asked(program, &identity, &key).await
    }

    /// What is remembered under a key, else what the interpreter says of itself.
    async fn known_or_asked(
        &self,
        program: &Path,
        identity: &FileIdentity,
        key: &str,
    ) -> Result<Verdict, ProvisionError> {
        if let Some(known) = self.fact::<Remembered>("python", key)? {
            return Ok(verdict(known, identity));
        }
        match self.asked(program).await? {
            Ok(remembered) => {
                self.remember("python", key, &remembered)?;
                Ok(verdict(remembered, identity))
            }
            Err(reason) => Ok(Verdict::Unusable(reason)),
        }
    }

    /// What an interpreter says of itself; else why that is not to be remembered.
    async fn asked(&self, path: &Path) -> Result<Result<Remembered, String>, ProvisionError> {
        let captured = match self.probe(path.to_path_buf(), ["-I", "-S", "-c", SCRIPT]).await {
            Ok(captured) => captured,
            Err(ProvisionError::Cancelled) => return Err(ProvisionError::Cancelled),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let said = serde_json::from_slice::<Said>(&captured.stdout);
        Ok(match (captured.exit, said) {
            (Some(0), Ok(said)) => Ok(Remembered::Interpreter(Box::new(said))),
            (Some(USAGE_ERROR), _) if written(&captured).contains("Unknown option: -I") => {
                Ok(Remembered::Unusable {
                    unusable: "too old: Python 3.4 or later is needed".to_owned(),
                })
            }
            (exit, _) => Err(refusal(exit, &written(&captured))),
        })
    }
}

fn refusal(exit: Option<i32>, output: &str) -> String {
    let how = exit.map_or_else(
        || "ended by a signal or its time limit".to_owned(),
        |exit| format!("exit code {exit}"),
    );
    match tail(output, 1).as_str() {
        "" => format!("does not answer as Python does ({how})"),
        line => format!("does not answer as Python does ({how}): {line}"),
    }
}

fn verdict(remembered: Remembered, identity: &FileIdentity) -> Verdict {
    match remembered {
        Remembered::Unusable { unusable } => Verdict::Unusable(unusable),
        Remembered::Interpreter(said) => {
            let Said {
                implementation,
                version,
                soabi,
                libc,
                platform,
                markers,
                executable,
                base_prefix,
                has_venv,
                has_ensurepip,
                virtual_environment,
                wheel_folders,
            } = *said;
            let FileIdentity {
                canonical: _,
                size,
                modified_ns,
                inode,
            } = *identity;
            Verdict::Interpreter(Box::new(Probed {
                interpreter: Interpreter {
                    implementation,
                    version,
                    soabi,
                    libc,
                    platform,
                    markers,
                    base_prefix,
                    has_venv,
                    has_ensurepip,
                    virtual_environment,
                    size,
                    modified_ns,
                    inode,
                },
                executable,
                wheel_folders,
            }))
        }
    }
}
