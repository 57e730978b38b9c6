//! Where this process may make groups.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::each::Each;
use super::files::{Files, System};
use super::leaf::{Version, not_writable};
use super::limits::Limit;
use super::membership::{self, Membership};
use super::mountinfo::{self, Mount};
use super::owner::Owner;
use super::unified::Unified;

const MOUNTS: &str = "/proc/self/mountinfo";
const MEMBERSHIPS: &str = "/proc/self/cgroup";

/// Where this process may make groups, and for which limits. Nothing was changed to find out.
#[derive(Debug, Clone)]
pub struct Hierarchies {
    pub(super) files: Arc<dyn Files>,
    places: Each<Result<Place, String>>,
    pub(super) unified: Result<Unified, String>,
    pub(super) freezer: Result<PathBuf, String>,
}

/// Where a limit is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a group of version 1 below this one.
    Legacy(PathBuf),
    /// In the group of version 2.
    Unified,
}

impl Hierarchies {
    /// Looks at `/proc/self/mountinfo`, `/proc/self/cgroup` and the groups that this process is in.
    #[must_use]
    pub fn find() -> Self {
        Self::find_with(Arc::new(System))
    }

    pub(super) fn find_with(files: Arc<dyn Files>) -> Self {
        let read = |path: &str| {
            files
                .read(Path::new(path))
                .map_err(|error| format!("`{path}` is not readable: {error}"))
        };
        let known = read(MOUNTS).and_then(|mounts| Ok((mounts, read(MEMBERSHIPS)?)));
        let (mounts, memberships) = match known {
            Ok((mounts, memberships)) => (mountinfo::parse(&mounts), membership::parse(&memberships)),
            Err(reason) => {
                return Self {
                    files,
                    places: Each::new(|_| Err(reason.clone())),
                    unified: Err(reason.clone()),
                    freezer: Err(reason),
                };
            }
        };
        let looked = Look {
            files: files.as_ref(),
            mounts: &mounts,
            memberships: &memberships,
        };
        let unified = looked.unified();
        let places = Each::new(|limit| match (looked.legacy(limit.controller()), &unified) {
            (Some(legacy), _) => legacy.map(Place::Legacy),
            (None, Ok(unified)) => match unified.offers(limit) {
                Ok(()) => Ok(Place::Unified),
                Err(reason) => Err(reason.to_owned()),
            },
            (None, Err(reason)) => Err(reason.clone()),
        });
        let freezer = looked.legacy("freezer").unwrap_or_else(|| {
            Err("there is no hierarchy of version 1 with the controller `freezer`".into())
        });
        Self {
            files,
            places,
            unified,
            freezer,
        }
    }

    /// Which version of control groups a limit can be had from.
    ///
    /// # Errors
    /// Why it cannot, for people.
    pub fn available(&self, limit: Limit) -> Result<Version, &str> {
        match self.place(limit) {
            Ok(Place::Legacy(_)) => Ok(Version::V1),
            Ok(Place::Unified) => Ok(Version::V2),
            Err(reason) => Err(reason),
        }
    }

    /// Which version of control groups can end all processes of a group, of whatever they are children: by
    /// `cgroup.kill` or `cgroup.freeze` of version 2, or by the freezer of version 1.
    ///
    /// # Errors
    /// Why none can, for people.
    pub fn kills(&self) -> Result<Version, &str> {
        match (&self.unified, &self.freezer) {
            (Ok(_), _) => Ok(Version::V2),
            (Err(_), Ok(_)) => Ok(Version::V1),
            (Err(reason), Err(_)) => Err(reason),
        }
    }

    /// Removes empty groups whose maker was killed before it could, and tells which. Groups of a living process, and
    /// those of another process namespace, whose processes cannot be seen from here, stay.
    #[must_use]
    pub fn sweep(&self) -> Vec<PathBuf> {
        let mut removed = Vec::new();
        for parent in self.parents() {
            for name in self.files.groups(parent).unwrap_or_default() {
                let gone = name
                    .to_str()
                    .and_then(Owner::of)
                    .is_some_and(|owner| owner.is_gone());
                if !gone {
                    continue;
                }
                let folder = parent.join(name);
                // The kernel refuses if there are processes in it, and it may be gone by now.
                match self.files.remove(&folder) {
                    Ok(()) => removed.push(folder),
                    Err(error) => {
                        tracing::debug!(folder = %folder.display(), %error, "left-over group not removed");
                    }
                }
            }
        }
        removed
    }

    pub(super) fn place(&self, limit: Limit) -> Result<&Place, &str> {
        match self.places.get(limit) {
            Ok(place) => Ok(place),
            Err(reason) => Err(reason),
        }
    }

    fn parents(&self) -> BTreeSet<&Path> {
        let legacy = Limit::ALL
            .into_iter()
            .filter_map(|limit| match self.place(limit) {
                Ok(Place::Legacy(parent)) => Some(parent.as_path()),
                Ok(Place::Unified) | Err(_) => None,
            });
        let unified = self.unified.as_ref().ok().map(|unified| unified.parent.as_path());
        let freezer = self.freezer.as_ref().ok().map(PathBuf::as_path);
        legacy.chain(unified).chain(freezer).collect()
    }
}

/// What the kernel says of mounts and of this process.
struct Look<'a> {
    files: &'a dyn Files,
    mounts: &'a [Mount],
    memberships: &'a [Membership],
}

impl Look<'_> {
    fn unified(&self) -> Result<Unified, String> {
        let own = self
            .memberships
            .iter()
            .find(|membership| membership.is_unified())
            .ok_or("this kernel has no control groups of version 2")?;
        let (mount, folder) = self
            .folder(&own.group, Mount::is_unified)
            .ok_or("no mount of control groups of version 2 shows the group of this process")?;
        Unified::find(self.files, &folder, mount.point())
    }

    /// This process's own group in the hierarchy of version 1 that has the controller; `None` if none has.
    fn legacy(&self, controller: &str) -> Option<Result<PathBuf, String>> {
        let own = self
            .memberships
            .iter()
            .find(|membership| membership.has(controller))?;
        let Some((_, folder)) = self.folder(&own.group, |mount| mount.has(controller)) else {
            return Some(Err(format!(
                "no mount of control groups with the controller `{controller}` shows the group of this process"
            )));
        };
        Some(match self.files.may_write(&folder) {
            Ok(()) => Ok(folder),
            Err(error) => Err(not_writable(&folder, &error)),
        })
    }

    /// The folder of a group. Of several mounts the last is on top; one below it may show nothing.
    fn folder(&self, group: &Path, is_it: impl Fn(&Mount) -> bool) -> Option<(&Mount, PathBuf)> {
        self.mounts
            .iter()
            .rev()
            .filter(|mount| is_it(mount))
            .filter_map(|mount| Some((mount, mount.folder(group)?)))
            .find(|(_, folder)| self.files.exists(&folder.join("cgroup.procs")))
    }
}
