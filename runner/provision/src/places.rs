//! The folders that a run may speak of, on this machine.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wrun_core::backend::{Input, Request};
use wrun_core::plan::{Piece, Place, Program, Root, Word};
use wrun_store::{Scratch, Store, Tree};

use crate::error::ProvisionError;

/// The part of the scratch folder that backends know as such.
pub(crate) const WORK: &str = "work";
/// The part where fetched files are, under the names that the plan gave them.
pub(crate) const ARTIFACTS: &str = "artifacts";
/// The part that is `HOME`.
const HOME: &str = "home";
/// The part that is `TMPDIR`.
const TEMPORARY: &str = "tmp";

/// The folders of one plan or question.
pub(crate) struct Places<'a> {
    store: Store,
    /// The environment that is being built; questions have none.
    prefix: Option<(&'a Path, Tree)>,
    scratch: Scratch,
    project: &'a Path,
    request: &'a Request,
    /// What the plan reads of the machine.
    reads: &'a [PathBuf],
    /// How long a server may take for the next bytes of an answer.
    idle: Duration,
    /// What was written for the runs, which may name hosts and files.
    written: Mutex<Vec<String>>,
    /// The download caches that were spoken of.
    downloads: Mutex<BTreeSet<PathBuf>>,
}

impl<'a> Places<'a> {
    /// Makes the folders.
    pub(crate) fn new(
        store: &Store,
        purpose: &str,
        prefix: Option<(&'a Path, Tree)>,
        project: &'a Path,
        request: &'a Request,
        idle: Duration,
    ) -> Result<Self, ProvisionError> {
        let scratch = store.scratch(purpose)?;
        for part in [WORK, ARTIFACTS, HOME, TEMPORARY] {
            scratch.tree().make_dir(part)?;
        }
        // Build backends look for the next one above what they build, and that of the store says that nothing counts.
        scratch.tree().write(".gitignore", b"", false)?;
        Ok(Self {
            store: store.clone(),
            prefix,
            scratch,
            project,
            request,
            reads: &[],
            idle,
            written: Mutex::default(),
            downloads: Mutex::default(),
        })
    }

    /// With folders of the machine that the runs read.
    pub(crate) const fn reading(mut self, reads: &'a [PathBuf]) -> Self {
        self.reads = reads;
        self
    }

    /// `HOME` and `TMPDIR`.
    pub(crate) fn home_and_temporary(&self) -> (PathBuf, PathBuf) {
        (
            self.scratch.path().join(HOME),
            self.scratch.path().join(TEMPORARY),
        )
    }

    /// The scratch folder with all of its parts.
    pub(crate) fn scratch_path(&self) -> &Path {
        self.scratch.path()
    }

    /// Keeps what was written for the runs.
    pub(crate) fn note(&self, text: &str) {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text.to_owned());
    }

    /// Everything that names hosts and files: what was written, and what was read for the spec.
    pub(crate) fn mentioned(&self) -> Vec<String> {
        let written = self
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let read = self
            .request
            .inputs
            .values()
            .filter_map(|input| input.text().map(str::to_owned));
        read.chain(written).collect()
    }

    /// The tools, what the spec refers to and, if they are the machine's, the interpreters with what belongs to them.
    pub(crate) fn readable(&self, interpreters: bool) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for tool in &self.request.tools {
            match &tool.python {
                Some(python) if interpreters => {
                    paths.extend([tool.path.clone(), PathBuf::from(&python.base_prefix)]);
                    paths.extend(virtual_environment(&tool.path));
                }
                Some(_) => {}
                None => paths.push(tool.path.clone()),
            }
        }
        let inputs = self
            .request
            .inputs
            .iter()
            .filter(|(_, input)| !matches!(input, Input::Absent));
        paths.extend(inputs.map(|(request, _)| self.project.join(&request.path)));
        paths.extend_from_slice(self.reads);
        // The system is part of what every program reads.
        paths.retain(|path| path != Path::new("/usr") && path != Path::new("/") && path.exists());
        paths
    }

    /// The environment that is being built, and the download caches that were spoken of.
    pub(crate) fn writable_folders(&self) -> Vec<PathBuf> {
        let downloads = self.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = self.prefix.as_ref().map(|(path, _)| path.to_path_buf());
        downloads.iter().cloned().chain(prefix).collect()
    }

    /// The whole scratch folder as a capability; [`WORK`] and [`ARTIFACTS`] are in it.
    pub(crate) fn scratch_tree(&self) -> &Tree {
        self.scratch.tree()
    }

    /// The absolute path of a place.
    pub(crate) fn path(&self, place: &Place) -> Result<PathBuf, ProvisionError> {
        plain(place)?;
        let root = match place.root {
            Root::Prefix => match &self.prefix {
                Some((path, _)) => path.to_path_buf(),
                None => {
                    return Err(invalid(
                        "a question speaks of the environment, which is not there yet",
                    ));
                }
            },
            Root::Scratch => self.scratch.path().join(WORK),
            Root::Project => self.project.to_path_buf(),
            Root::Artifact => self.scratch.path().join(ARTIFACTS),
            Root::Downloads => return self.downloads(&place.rel),
        };
        Ok(if place.rel.is_empty() {
            root
        } else {
            root.join(&place.rel)
        })
    }

    /// A path in a download cache: the first part is the cache's name, and the cache is made if it is not there.
    fn downloads(&self, rel: &str) -> Result<PathBuf, ProvisionError> {
        let (name, rest) = rel.split_once('/').unwrap_or((rel, ""));
        let cache = self.store.downloads(name)?;
        self.downloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(cache.clone());
        Ok(if rest.is_empty() { cache } else { cache.join(rest) })
    }

    /// The tree and the path in it of a place that can be written.
    pub(crate) fn writable(&self, place: &Place) -> Result<(Tree, String), ProvisionError> {
        plain(place)?;
        match (place.root, &self.prefix) {
            (Root::Prefix, Some((_, tree))) => Ok((tree.clone(), place.rel.clone())),
            (Root::Scratch, _) => Ok((self.scratch.tree().clone(), below(WORK, &place.rel))),
            _ => Err(invalid(&format!(
                "`{}` is not in a folder that a plan may write",
                place.rel
            ))),
        }
    }

    /// An argument or a value.
    pub(crate) fn word(&self, word: &Word) -> Result<OsString, ProvisionError> {
        let mut text = OsString::new();
        for piece in &word.0 {
            match piece {
                Piece::Text(piece) => text.push(piece),
                Piece::Place(place) => text.push(self.path(place)?),
                Piece::Tool(id) => text.push(&self.tool(id)?.path),
                Piece::Patience => text.push(self.idle.as_secs().max(1).to_string()),
            }
        }
        Ok(text)
    }

    /// The file of a program.
    pub(crate) fn program(&self, program: &Program) -> Result<PathBuf, ProvisionError> {
        match program {
            Program::Tool(id) => Ok(self.tool(id)?.path.clone()),
            Program::Place(place) => self.path(place),
        }
    }

    /// A tool that was asked for.
    pub(crate) fn tool(&self, id: &str) -> Result<&wrun_core::tool::ToolFound, ProvisionError> {
        self.request
            .tools
            .iter()
            .find(|tool| tool.id == id)
            .ok_or_else(|| invalid(&format!("the tool `{id}` is used and was not asked for")))
    }
}

/// The virtual environment (PEP 405) that an interpreter belongs to, if it belongs to one: the interpreter reads what that
/// is built on from it.
fn virtual_environment(interpreter: &Path) -> Option<PathBuf> {
    let folder = interpreter.parent()?.parent()?;
    folder.join("pyvenv.cfg").exists().then(|| folder.to_path_buf())
}

/// A path below a folder.
pub(crate) fn below(folder: &str, rel: &str) -> String {
    if rel.is_empty() {
        folder.to_owned()
    } else {
        format!("{folder}/{rel}")
    }
}

/// Checks that a place is a plain path.
pub(crate) fn plain(place: &Place) -> Result<(), ProvisionError> {
    if place.is_plain() {
        Ok(())
    } else {
        Err(invalid(&format!("`{}` is not a plain relative path", place.rel)))
    }
}

/// A plan or a question that must not be carried out.
pub(crate) fn invalid(reason: &str) -> ProvisionError {
    ProvisionError::PlanInvalid {
        reason: reason.to_owned(),
    }
}
