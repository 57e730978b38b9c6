//! Putting packages together to an environment: links from the cache where the file system allows them, with the
//! prefixes in their files replaced.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, PoisonError};

use rattler::install::{ExternalSymlinkPolicy, InstallOptions, PythonInfo, link_package_sync};
use rattler_conda_types::prefix::Prefix;
use rattler_conda_types::prefix_record::Link;
use rattler_conda_types::{MatchSpec, PackageRecord, PrefixRecord, RepoDataRecord, Subdir};
use rayon::iter::{IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};
use wrun_core::problem::Problem;

use crate::explain;
use crate::files;
use crate::overlap::{self, Brought, Same};
use crate::repodata::causes;

/// What is to be linked.
pub(crate) struct Linking {
    /// The environment, at its final address.
    pub(crate) prefix: PathBuf,
    /// The packages.
    pub(crate) records: Vec<RepoDataRecord>,
    /// Where each of them is unpacked.
    pub(crate) folders: Vec<PathBuf>,
    /// What was asked for by name, for the environment's own records.
    pub(crate) specs: Vec<MatchSpec>,
    /// The platform of the environment.
    pub(crate) platform: Subdir,
    /// Whether files are copied and not linked, because code that runs in the environment may change them.
    pub(crate) copies: bool,
}

/// What came of linking.
pub(crate) struct Linked {
    /// The records of the packages, each after what it depends on.
    pub(crate) records: Vec<PrefixRecord>,
    /// Files that several packages bring.
    pub(crate) same: Same,
}

/// Linking that goes on in other threads. When this is dropped it is stopped, and waited for: the environment's folder
/// may belong to somebody else right after.
struct Working {
    stop: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The other end is never sent to, only dropped.
        let _ = self.ended.recv();
    }
}

/// Links packages into an environment.
pub(crate) async fn link(linking: Linking) -> Result<Linked, Problem> {
    let stop = Arc::new(AtomicBool::new(false));
    let (ending, ended) = channel();
    let working = Working {
        stop: Arc::clone(&stop),
        ended,
    };
    let linked = tokio::task::spawn_blocking(move || {
        let _ending = ending;
        linking.all(&stop)
    })
    .await
    .map_err(|error| Problem::failed("conda.link.failed", error.to_string()))?;
    drop(working);
    linked
}

fn failed(what: &str, error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::failed("conda.link.failed", format!("{what}: {}", causes(error)))
}

impl Linking {
    fn all(&self, stop: &AtomicBool) -> Result<Linked, Problem> {
        let prefix = Prefix::create(&self.prefix)
            .map_err(|error| failed(&format!("cannot make `{}`", self.prefix.display()), &error))?;
        let python = self
            .records
            .iter()
            .find(|record| record.package_record.name.as_normalized() == "python")
            .map(|record| PythonInfo::from_python_record(&record.package_record, self.platform))
            .transpose()
            .map_err(|error| failed("the version of `python` makes no sense", &error))?;
        let brought = self
            .records
            .par_iter()
            .zip(&self.folders)
            .map(|(record, folder)| Brought::by(record, folder, python.as_ref()))
            .collect::<Result<Vec<Brought>, Problem>>()?;
        overlap::check(&brought)?;
        // The type has no public name; the first package that is linked says what it is.
        let hard_links = !self.copies
            && self
                .folders
                .first()
                .is_some_and(|folder| files::can_link(folder, &self.prefix));
        let registry = Arc::default();
        let options = InstallOptions {
            platform: Some(self.platform),
            python_info: python,
            allow_symbolic_links: Some(true),
            // Found out once, and not by the library for each package.
            allow_hard_links: Some(hard_links),
            allow_ref_links: hard_links.then_some(false),
            external_symlink_policy: ExternalSymlinkPolicy::Deny,
            ..InstallOptions::default()
        };
        let specs = self.specs_by_name();
        // On the threads of the library, which hands the files of each package to them anyway.
        let linked = self
            .records
            .par_iter()
            .zip(&self.folders)
            .map(|(record, folder)| {
                if stop.load(Ordering::Relaxed) {
                    return Err(Problem::Cancelled);
                }
                let (paths, link_type) =
                    link_package_sync(folder, &prefix, Arc::clone(&registry), options.clone()).map_err(
                        |error| {
                            failed(
                                &format!("cannot install `{}`", record.identifier.to_file_name()),
                                &error,
                            )
                        },
                    )?;
                let record = PrefixRecord {
                    extracted_package_dir: Some(folder.clone()),
                    link: Some(Link {
                        source: folder.clone(),
                        link_type: Some(link_type),
                    }),
                    requested_specs: specs
                        .get(record.package_record.name.as_normalized())
                        .cloned()
                        .unwrap_or_default(),
                    ..PrefixRecord::from_repodata_record(record.clone(), paths)
                };
                write(&prefix, &record)?;
                Ok(record)
            })
            .collect::<Result<Vec<PrefixRecord>, Problem>>()?;
        if self.copies {
            // The modes are those of the cache, which nobody may write.
            let files = linked.iter().flat_map(|record| &record.paths_data.paths);
            for file in files {
                let path = self.prefix.join(&file.relative_path);
                files::make_writable(&path)
                    .map_err(|error| failed(&format!("cannot make `{}` writable", path.display()), &error))?;
            }
        }
        let sorted = PackageRecord::sort_topologically(linked.iter().collect::<Vec<_>>());
        let clobbered = registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .unclobber(&sorted, &prefix)
            .map_err(|error| failed("cannot settle which package a file is of", &error))?;
        let mut same = Same::default();
        for (path, clobbered) in &clobbered {
            for loser in &clobbered.other_packages {
                same.add(clobbered.package.as_normalized(), loser.as_normalized(), path);
            }
        }
        Ok(Linked {
            records: sorted.into_iter().cloned().collect(),
            same,
        })
    }

    fn specs_by_name(&self) -> HashMap<String, Vec<String>> {
        let mut specs: HashMap<String, Vec<String>> = HashMap::new();
        for spec in &self.specs {
            if let Some(name) = explain::name(spec) {
                specs
                    .entry(name.as_normalized().to_owned())
                    .or_default()
                    .push(spec.to_string());
            }
        }
        specs
    }
}

fn write(prefix: &Path, record: &PrefixRecord) -> Result<(), Problem> {
    let path = prefix.join("conda-meta").join(record.file_name());
    // Not through the library's own writing, which waits for the disk each time: the whole tree is written through once.
    let mut content = Vec::new();
    record
        .write_to(&mut content, true)
        .and_then(|()| files::write(&path, &content))
        .map_err(|error| failed(&format!("cannot write `{}`", path.display()), &error))
}
