//! Single files for WebAssembly guests, which know folders only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wrun_core::grants::{Access, Grants, PathGrant};
use wrun_store::{Scratch, Store};

use crate::Error;

/// Gives the guest the files that it may read as copies, each in a folder that stands in the place of the file's own and
/// has nothing else in it. The copies are as the files are now, and go with what is returned.
///
/// A file that a granted folder has in it anyway needs none. What cannot be had in this way stays as it is, and is refused
/// when the guest is started: a file to be changed.
///
/// # Errors
/// A file cannot be read, or the disk is full.
pub(crate) fn as_folders(grants: &mut Grants, store: &Store) -> Result<Option<Scratch>, Error> {
    let (files, mut paths): (Vec<PathGrant>, Vec<PathGrant>) = std::mem::take(&mut grants.paths)
        .into_iter()
        .partition(|grant| grant.access == Access::Read && grant.host.is_file());
    let mut copies: Option<Scratch> = None;
    let mut places: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for file in files {
        if is_covered(&file, &paths) {
            continue;
        }
        let guest = Path::new(&file.guest);
        let (Some(parent), Some(name)) = (guest.parent().filter(|_| guest.is_absolute()), guest.file_name())
        else {
            paths.push(file);
            continue;
        };
        if copies.is_none() {
            copies = Some(store.scratch("files")?);
        }
        let Some(copies) = &copies else { continue };
        let next = copies.path().join(places.len().to_string());
        let place = places.entry(parent.to_owned()).or_insert(next);
        copy(&file.host, place, &place.join(name)).map_err(|error| Error::Path {
            what: "a path of `allow.read`",
            path: file.host.clone(),
            reason: error.to_string(),
        })?;
    }
    paths.extend(places.into_iter().map(|(guest, host)| PathGrant {
        host,
        guest: guest.to_string_lossy().into_owned(),
        access: Access::Read,
    }));
    grants.paths = paths;
    Ok(copies)
}

/// Whether the guest finds the file in one of the folders, by the same name.
fn is_covered(file: &PathGrant, folders: &[PathGrant]) -> bool {
    folders.iter().any(|folder| {
        let inside = file.host.strip_prefix(&folder.host);
        inside.is_ok_and(|inside| {
            let name = if folder.guest == "." {
                inside.to_owned()
            } else {
                Path::new(&folder.guest).join(inside)
            };
            name == Path::new(&file.guest)
        })
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a granted file lies outside of the store"
)]
fn copy(file: &Path, folder: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::copy(file, to).map(drop)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests make folders of their own")]
mod tests {
    use super::*;

    fn grant(host: &Path, guest: impl Into<String>) -> PathGrant {
        PathGrant {
            host: host.to_owned(),
            guest: guest.into(),
            access: Access::Read,
        }
    }

    #[test]
    fn files_are_copied_unless_a_folder_has_them() {
        let base = tempfile::tempdir().unwrap();
        let store = Store::open(&base.path().join("store")).unwrap();
        let task = base.path().join("task");
        let other = base.path().join("other");
        for file in [
            "task/in.txt",
            "other/a.txt",
            "other/b.txt",
            "other/c.txt",
            "more/c.txt",
        ] {
            let path = base.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let same = |path: PathBuf| grant(&path, path.display().to_string());
        let mut changed = same(other.join("c.txt"));
        changed.access = Access::Write;
        let mut grants = Grants {
            paths: vec![
                grant(&task, "."),
                grant(&task.join("in.txt"), "in.txt"),
                same(other.join("a.txt")),
                same(other.join("b.txt")),
                same(base.path().join("more")),
                same(base.path().join("more/c.txt")),
                grant(&other.join("a.txt"), "link.txt"),
                changed.clone(),
            ],
            ..Grants::default()
        };
        let copies = as_folders(&mut grants, &store).unwrap().unwrap();
        let guests: Vec<&str> = grants.paths.iter().map(|grant| grant.guest.as_str()).collect();
        let (other_name, more) = (
            other.display().to_string(),
            base.path().join("more").display().to_string(),
        );
        assert_eq!(guests, [".", &more, &changed.guest, "link.txt", &other_name]);
        let staged = &grants.paths[4].host;
        assert!(staged.starts_with(copies.path()));
        let mut found: Vec<_> = std::fs::read_dir(staged)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        found.sort();
        assert_eq!(found, ["a.txt", "b.txt"]);
        assert_eq!(
            std::fs::read_to_string(staged.join("b.txt")).unwrap(),
            "other/b.txt"
        );
    }
}
