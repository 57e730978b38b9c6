//! From paths that were refused to the smallest sensible grants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wrun_core::denial::{Denial, DenialKind, Grant};
use wrun_core::grants::Access;

use super::judge::Refused;

/// As many paths of one folder are listed; if it is more, the folder is granted.
const MOST_OF_A_FOLDER: usize = 2;

/// Folders that hold much beside what was asked for.
const BROAD: &[&str] = &[
    "/etc", "/home", "/root", "/usr", "/var", "/var/lib", "/opt", "/srv", "/tmp", "/mnt", "/media", "/dev",
    "/run", "/sys",
];

/// What to say of the refused paths, in their order.
pub(super) fn denials(refused: &[Refused]) -> Vec<Denial> {
    let needed: Vec<&Refused> = refused
        .iter()
        .filter(|one| !one.glance || !leads_to_another(one, refused))
        .collect();
    let grants = grants(&needed);
    needed.iter().map(|one| denial(one, &grants)).collect()
}

/// Whether a folder was only looked at on the way to something in it: who sees the latter sees the way.
fn leads_to_another(one: &Refused, refused: &[Refused]) -> bool {
    refused
        .iter()
        .any(|other| other.grant != one.grant && other.grant.starts_with(&one.grant))
}

/// What is granted, by the path that asks for it.
fn grants(refused: &[&Refused]) -> BTreeMap<PathBuf, Access> {
    let mut grants: BTreeMap<PathBuf, Access> = BTreeMap::new();
    for one in refused.iter().filter(|one| one.permitted) {
        let held = grants.entry(one.grant.clone()).or_insert(one.access);
        *held = (*held).max(one.access);
    }
    for access in [Access::Read, Access::Write] {
        while let Some(folder) = crowded(&grants, access) {
            grants.retain(|path, held| *held != access || path.parent() != Some(&folder));
            let held = grants.entry(folder).or_insert(access);
            *held = (*held).max(access);
        }
    }
    grants
}

/// A folder of which more paths are asked for than are listed.
fn crowded(grants: &BTreeMap<PathBuf, Access>, access: Access) -> Option<PathBuf> {
    let mut of_folder: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for (path, held) in grants {
        if *held == access
            && let Some(folder) = path.parent()
            && !is_broad(folder)
        {
            of_folder.entry(folder).or_default().insert(path);
        }
    }
    of_folder
        .into_iter()
        .find(|(_, paths)| paths.len() > MOST_OF_A_FOLDER)
        .map(|(folder, _)| folder.to_owned())
}

fn is_broad(folder: &Path) -> bool {
    folder.parent().is_none()
        || folder.parent() == Some(Path::new("/home"))
        || BROAD.iter().any(|broad| folder == Path::new(broad))
}

fn denial(one: &Refused, grants: &BTreeMap<PathBuf, Access>) -> Denial {
    let kind = match one.access {
        Access::Read => DenialKind::Read,
        Access::Write => DenialKind::Write,
    };
    let what = one.asked.to_string_lossy().into_owned();
    if !one.permitted {
        let reason = match one.access {
            Access::Read => "your user may not read it either",
            Access::Write => "your user may not change it either",
        };
        return Denial::for_good(kind, what, reason);
    }
    let above = one.grant.ancestors().collect::<Vec<_>>();
    let granted = above.into_iter().rev().find_map(|path| {
        grants
            .get_key_value(path)
            .filter(|(_, held)| **held >= one.access)
    });
    let (path, access) = granted.map_or((&one.grant, one.access), |(path, access)| (path, *access));
    if path == Path::new("/") {
        return Denial::for_good(kind, what, "nothing can be changed in `/` itself");
    }
    let Some(path) = path.to_str().map(str::to_owned) else {
        return Denial::for_good(kind, what, "a task file can only name paths that are UTF-8");
    };
    let grant = match access {
        Access::Read => Grant::Read(path),
        Access::Write => Grant::Write(path),
    };
    Denial::new(kind, what, grant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, access: Access, glance: bool) -> Refused {
        Refused {
            asked: path.into(),
            access,
            grant: path.into(),
            glance,
            permitted: true,
        }
    }

    fn lines(refused: &[Refused]) -> Vec<String> {
        denials(refused)
            .into_iter()
            .filter_map(|denial| denial.line)
            .collect()
    }

    #[test]
    fn many_files_of_a_folder_are_the_folder() {
        let files: Vec<Refused> = ["a", "b", "c"]
            .map(|name| refused(&format!("/srv/data/{name}"), Access::Read, false))
            .into();
        assert_eq!(lines(&files), [r#"read = ["/srv/data"]"#; 3]);
        assert_eq!(
            lines(&files[..2]),
            [r#"read = ["/srv/data/a"]"#, r#"read = ["/srv/data/b"]"#]
        );
        let broad: Vec<Refused> = ["a", "b", "c"]
            .map(|name| refused(&format!("/etc/{name}"), Access::Read, false))
            .into();
        assert_eq!(lines(&broad)[2], r#"read = ["/etc/c"]"#);
    }

    #[test]
    fn what_is_looked_at_on_the_way_is_not_asked_for() {
        let way = [
            refused("/srv", Access::Read, true),
            refused("/srv/data", Access::Read, true),
            refused("/srv/data/a", Access::Read, false),
        ];
        assert_eq!(lines(&way), [r#"read = ["/srv/data/a"]"#]);
        assert_eq!(lines(&way[..1]), [r#"read = ["/srv"]"#]);
    }

    #[test]
    fn the_right_to_change_holds_that_to_look() {
        let both = [
            refused("/srv/out", Access::Read, false),
            refused("/srv/out", Access::Write, false),
            refused("/srv/out/a", Access::Read, false),
        ];
        assert_eq!(lines(&both), [r#"write = ["/srv/out"]"#; 3]);
    }

    #[test]
    fn what_nobody_may_grant_is_said() {
        let mut shadow = refused("/etc/shadow", Access::Read, false);
        shadow.permitted = false;
        let root = Refused {
            grant: "/".into(),
            ..refused("/new", Access::Write, false)
        };
        let said = denials(&[shadow, root]);
        assert!(said.iter().all(|denial| denial.grant.is_none()));
        assert_eq!(
            said[0].reason.as_deref(),
            Some("your user may not read it either")
        );
    }
}
