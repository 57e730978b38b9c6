//! Paths that several packages bring.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rattler::install::PythonInfo;
use rattler_conda_types::RepoDataRecord;
use rattler_conda_types::package::{IndexJson, LinkJson, NoArchLinks, PackageFile as _, PathType, PathsJson};
use wrun_core::problem::Problem;

use crate::repodata::causes;

/// What a package brings into an environment.
#[derive(Debug)]
pub(crate) struct Brought {
    package: String,
    /// The paths, and whether each is a folder that is empty.
    paths: Vec<(PathBuf, bool)>,
    /// The commands that are made of its entry points, and what each of them calls.
    commands: Vec<(PathBuf, String)>,
}

impl Brought {
    /// What an unpacked package brings; `python` is the one of the environment.
    pub(crate) fn by(
        record: &RepoDataRecord,
        folder: &Path,
        python: Option<&PythonInfo>,
    ) -> Result<Self, Problem> {
        let package = record.package_record.name.as_normalized().to_owned();
        let unreadable = |error: std::io::Error| {
            Problem::failed(
                "conda.link.failed",
                format!("cannot read what `{package}` brings: {}", causes(&error)),
            )
        };
        let index = IndexJson::from_package_directory(folder).map_err(unreadable)?;
        let listed =
            PathsJson::from_package_directory_with_deprecated_fallback(folder).map_err(unreadable)?;
        let python = python.filter(|_| index.noarch.is_python());
        let commands = match python {
            Some(python) => commands(folder, python).map_err(unreadable)?,
            None => Vec::new(),
        };
        let paths = listed.paths.into_iter().map(|entry| {
            let path = match python {
                Some(python) => python
                    .get_python_noarch_target_path(&entry.relative_path)
                    .into_owned(),
                None => entry.relative_path,
            };
            (path, entry.path_type == PathType::Directory)
        });
        Ok(Self {
            paths: paths.collect(),
            commands,
            package,
        })
    }
}

fn commands(folder: &Path, python: &PythonInfo) -> std::io::Result<Vec<(PathBuf, String)>> {
    let link = match LinkJson::from_package_directory(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let NoArchLinks::Python(links) = link.noarch else {
        return Ok(Vec::new());
    };
    let commands = links.entry_points.into_iter().map(|entry| {
        let script = Path::new("python-scripts").join(&entry.command);
        let path = python.get_python_noarch_target_path(&script).into_owned();
        (path, format!("{}:{}", entry.module, entry.function))
    });
    Ok(commands.collect())
}

/// Refuses packages of which one has a file where another one has a folder (whichever is linked, files of the other are
/// lost), or a command where another one has a file.
pub(crate) fn check(packages: &[Brought]) -> Result<(), Problem> {
    let mut files: BTreeMap<&Path, &str> = BTreeMap::new();
    let mut folders: HashMap<&Path, (&str, &Path)> = HashMap::new();
    for Brought { package, paths, .. } in packages {
        for (path, is_folder) in paths {
            if !is_folder {
                files.entry(path).or_insert(package);
            }
            let above = path.ancestors().skip(usize::from(!is_folder));
            for folder in above.take_while(|folder| !folder.as_os_str().is_empty()) {
                if folders.contains_key(folder) {
                    break;
                }
                folders.insert(folder, (package, path));
            }
        }
    }
    let clash = files
        .iter()
        .find_map(|(path, package)| Some((path, package, folders.get(path)?)));
    if let Some((path, package, (other, inside))) = clash {
        return Err(refused(
            package,
            other,
            &format!(
                "`{}` is a file of `{package}` and a folder of `{other}`, which brings `{}`",
                path.display(),
                inside.display()
            ),
        ));
    }
    check_commands(packages, &files)
}

/// Refuses commands that are made of entry points and have the path of something else. The library writes into whatever file
/// has their path, which may be that of an unpacked package that other environments use.
fn check_commands(packages: &[Brought], files: &BTreeMap<&Path, &str>) -> Result<(), Problem> {
    let mut made: HashMap<&Path, (&str, &str)> = HashMap::new();
    for Brought {
        package, commands, ..
    } in packages
    {
        for (path, calls) in commands {
            if let Some(other) = files.get(path.as_path()).filter(|other| *other != package) {
                let what = format!(
                    "`{}` is a file of `{other}` and a command of `{package}`",
                    path.display()
                );
                return Err(refused(other, package, &what));
            }
            let (other, called) = *made.entry(path).or_insert((package, calls));
            if called != calls {
                let what = format!(
                    "`{}` is a command of `{other}` and another one of `{package}`",
                    path.display()
                );
                return Err(refused(other, package, &what));
            }
        }
    }
    Ok(())
}

fn refused(one: &str, other: &str, what: &str) -> Problem {
    Problem::Failed {
        code: "conda.link.clash".to_owned(),
        message: format!("the packages `{one}` and `{other}` cannot be in one environment: {what}"),
        help: Some("leave out one of the two, or ask for another version or build of one of them".to_owned()),
    }
}

/// Of each two packages that bring the same files: the one whose files are in the environment, the other one, how many there
/// are, and the first of them.
#[derive(Debug, Default)]
pub(crate) struct Same(BTreeMap<(String, String), (usize, PathBuf)>);

impl Same {
    /// Takes note of a path.
    pub(crate) fn add(&mut self, winner: &str, loser: &str, path: &Path) {
        let pair = (winner.to_owned(), loser.to_owned());
        let (count, first) = self.0.entry(pair).or_insert_with(|| (0, path.to_owned()));
        *count += 1;
        if path < first.as_path() {
            path.clone_into(first);
        }
    }

    /// What to tell people.
    pub(crate) fn told(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|((winner, loser), (count, first))| {
            let first = first.display();
            let files = if *count == 1 {
                format!("the file `{first}`")
            } else {
                format!("the same {count} files, such as `{first}`")
            };
            format!("`{winner}` and `{loser}` both bring {files}: those of `{winner}` are used")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought(package: &str, paths: &[(&str, bool)]) -> Brought {
        Brought {
            package: package.to_owned(),
            paths: paths
                .iter()
                .map(|(path, is_folder)| (PathBuf::from(path), *is_folder))
                .collect(),
            commands: Vec::new(),
        }
    }

    #[test]
    fn a_command_where_another_package_has_a_file_or_another_command_is_refused() {
        let command = |package: &str, calls: &str| Brought {
            commands: vec![(PathBuf::from("bin/run"), calls.to_owned())],
            ..brought(package, &[])
        };
        let file = || brought("one", &[("bin/run", false)]);
        assert!(check(&[file(), command("two", "two:main")]).is_err());
        assert!(check(&[command("one", "one:main"), command("two", "two:main")]).is_err());
        assert!(check(&[command("one", "one:main"), command("two", "one:main")]).is_ok());
    }

    #[test]
    fn a_file_where_another_package_has_a_folder_is_refused() {
        let file = || brought("one", &[("share/clash", false)]);
        for others in [
            brought("two", &[("share/a", false), ("share/clash/deep/sub", false)]),
            brought("two", &[("share/clash", true)]),
        ] {
            let problem = check(&[file(), others]).unwrap_err().to_string();
            for word in ["`one`", "`two`", "`share/clash`"] {
                assert!(problem.contains(word), "{problem}");
            }
        }
        let apart = [
            file(),
            brought("two", &[("share/clash", false), ("share/clash2/sub", false)]),
            brought("three", &[("share", true), ("share/clash2", true)]),
        ];
        assert!(check(&apart).is_ok());
    }

    #[test]
    fn the_same_files_of_two_packages_are_counted() {
        let mut same = Same::default();
        same.add("a", "c", Path::new("share/z"));
        same.add("a", "b", Path::new("share/z"));
        same.add("a", "b", Path::new("share/x"));
        let told: Vec<String> = same.told().collect();
        assert_eq!(
            told,
            [
                "`a` and `b` both bring the same 2 files, such as `share/x`: those of `a` are used",
                "`a` and `c` both bring the file `share/z`: those of `a` are used",
            ]
        );
    }
}
