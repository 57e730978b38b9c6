//! Files of exact addresses: the `@EXPLICIT` files of `conda list --explicit`.

use rattler_conda_types::package::{CondaArchiveType, DistArchiveIdentifier};
use rattler_conda_types::{ExplicitEnvironmentEntry, PackageArchiveHash};
use url::Url;
use wrun_backend_python::redact;
use wrun_core::canon::Canon;
use wrun_core::diagnostic::Finding;
use wrun_core::id::Digest;

use crate::fetch;

/// The line after which the addresses come.
const TAG: &str = "@EXPLICIT";

/// What a file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    /// Nothing is said.
    Unknown,
    /// This MD5.
    Md5([u8; 16]),
    /// This SHA-256.
    Sha256(Digest),
}

/// A package by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExplicitPackage {
    /// The address, without a fragment.
    pub(crate) url: Url,
    /// What it must be.
    pub(crate) hash: Hash,
    /// The line of the file that lists it, from 1.
    pub(crate) line: usize,
}

impl ExplicitPackage {
    /// As part of a key.
    pub(crate) fn canon(&self) -> Canon {
        let hash = match &self.hash {
            Hash::Unknown => None,
            Hash::Md5(bytes) => Some(format!("md5:{}", hex(bytes))),
            Hash::Sha256(digest) => Some(digest.to_string()),
        };
        Canon::fields([
            ("hash", hash.map(Canon::text)),
            ("url", Some(Canon::text(self.url.as_str()))),
        ])
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// A file that was understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ExplicitFile {
    /// Its path, as the spec has it.
    pub(crate) path: String,
    /// The platform that the file says it is for.
    pub(crate) platform: Option<String>,
    /// The packages, in the order of the file.
    pub(crate) packages: Vec<ExplicitPackage>,
}

impl ExplicitFile {
    /// Reads a file's text, with all that is wrong with it.
    pub(crate) fn read(path: &str, text: &str, findings: &mut Vec<Finding>) -> Self {
        let mut file = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut is_tagged = false;
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let (line, number) = (line.trim(), index + 1);
            if let Some(comment) = line.strip_prefix('#') {
                if let Some(platform) = comment.trim_start().strip_prefix("platform:") {
                    file.platform = Some(platform.trim().to_owned());
                }
            } else if line == TAG {
                is_tagged = true;
            } else if !line.is_empty() && is_tagged {
                match package(line, number) {
                    Ok(package) => file.add(package, findings),
                    Err(why) => findings.push(syntax(&format!(
                        "line {number} of `{path}` lists no package: {why}"
                    ))),
                }
            } else if !line.is_empty() {
                break;
            }
        }
        if !is_tagged {
            findings.push(syntax(&format!(
                "`{path}` is no file of exact addresses: there is no line `{TAG}` before the first of them"
            )));
        }
        file
    }

    /// The line of an address.
    pub(crate) fn line_of(&self, url: &Url) -> Option<usize> {
        let package = self.packages.iter().find(|package| package.url == *url)?;
        Some(package.line)
    }

    /// Adds a package. The same one again says nothing new; another one of the same name cannot be there too.
    fn add(&mut self, package: ExplicitPackage, findings: &mut Vec<Finding>) {
        let name = name(&package.url);
        let known = self
            .packages
            .iter_mut()
            .find(|known| known.url == package.url || self::name(&known.url) == name);
        let Some(known) = known else {
            self.packages.push(package);
            return;
        };
        let lines = format!("lines {} and {} of `{}`", known.line, package.line, self.path);
        if known.url != package.url {
            let [one, other] = [&known.url, &package.url].map(|url| fetch::file_name(url).to_owned());
            findings.push(
                Finding::error(
                    "conda.explicit.twice",
                    "/explicit",
                    format!(
                        "{lines} list two packages of the name `{}`: `{one}` and `{other}`{}",
                        name.unwrap_or_default(),
                        if one == other { " of another channel" } else { "" }
                    ),
                )
                .with_help("an environment has one package of a name: remove one of the two lines"),
            );
        } else if known.hash == Hash::Unknown {
            known.hash = package.hash;
        } else if package.hash != Hash::Unknown && package.hash != known.hash {
            findings.push(
                Finding::error(
                    "conda.explicit.twice",
                    "/explicit",
                    format!("{lines} want two digests of `{}`", package.url),
                )
                .with_help("remove the line whose digest is not right"),
            );
        }
    }
}

fn syntax(message: &str) -> Finding {
    Finding::error("conda.explicit.syntax", "/explicit", message).with_help(
        "make the file with `conda list --explicit --sha256`; the path of a package on this machine is written `file:///…`",
    )
}

/// The name of the package at an address, as conda names files: `name-version-build`.
fn name(url: &Url) -> Option<String> {
    let file: DistArchiveIdentifier = fetch::file_name(url).parse().ok()?;
    Some(file.identifier.name.to_lowercase())
}

/// A line of a file.
fn package(line: &str, number: usize) -> Result<ExplicitPackage, String> {
    let shown = redact::strip(line);
    let url = Url::parse(line).map_err(|error| format!("`{shown}`: {error}"))?;
    let entry = ExplicitEnvironmentEntry { url };
    let hash = match entry.package_archive_hash() {
        Ok(None) => Hash::Unknown,
        Ok(Some(PackageArchiveHash::Md5(md5))) => Hash::Md5(md5.into()),
        Ok(Some(PackageArchiveHash::Sha256(sha256))) => Hash::Sha256(Digest::from_bytes(sha256.into())),
        Err(error) => return Err(format!("`{shown}`: {error}")),
    };
    let mut url = entry.url;
    url.set_fragment(None);
    if redact::has_secret(&url) || url.path().contains("/t/") {
        return Err("the address was written with a secret in it".to_owned());
    }
    if !matches!(url.scheme(), "https" | "http" | "file") || CondaArchiveType::try_from(url.path()).is_none()
    {
        return Err(format!("`{url}` is not the address of a conda package"));
    }
    if name(&url).is_none() {
        return Err(format!(
            "`{}` is not `name-version-build` as conda names packages",
            fetch::file_name(&url)
        ));
    }
    Ok(ExplicitPackage {
        url,
        hash,
        line: number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (ExplicitFile, Vec<String>) {
        let mut findings = Vec::new();
        let file = ExplicitFile::read("list.txt", &lines.join("\n"), &mut findings);
        (
            file,
            findings.into_iter().map(|finding| finding.message).collect(),
        )
    }

    #[test]
    fn a_name_twice_is_told_with_both_lines_and_an_address_twice_is_one() {
        let md5 = "0123456789abcdef0123456789abcdef";
        let (file, told) = read(&[
            "# platform: linux-64",
            TAG,
            "https://x.example/linux-64/a-1-0.conda",
            "",
            &format!("https://x.example/linux-64/a-1-0.conda#{md5}"),
            "https://x.example/linux-64/b-1-0.conda",
            "https://x.example/linux-64/B-2-0.tar.bz2",
            "https://y.example/linux-64/b-1-0.conda",
        ]);
        assert_eq!(file.packages.len(), 2);
        assert!(matches!(file.packages[0].hash, Hash::Md5(_)));
        assert_eq!(
            told,
            [
                "lines 6 and 7 of `list.txt` list two packages of the name `b`: `b-1-0.conda` and `B-2-0.tar.bz2`",
                "lines 6 and 8 of `list.txt` list two packages of the name `b`: `b-1-0.conda` and `b-1-0.conda` of \
                 another channel"
            ]
        );
        let other = md5.replace('0', "1");
        let address = "https://x.example/linux-64/a-1-0.conda";
        let (_, told) = read(&[TAG, &format!("{address}#{md5}"), &format!("{address}#{other}")]);
        assert_eq!(
            told,
            [format!(
                "lines 2 and 3 of `list.txt` want two digests of `{address}`"
            )]
        );
    }

    #[test]
    fn all_lines_that_list_no_package_are_told() {
        let (_, told) = read(&[
            TAG,
            "a-1-0.conda",
            "https://x.example/a.conda",
            "https://x.example/c",
        ]);
        let starts = ["line 2 of", "line 3 of", "line 4 of"];
        assert_eq!(told.len(), starts.len(), "{told:?}");
        for (message, start) in told.iter().zip(starts) {
            assert!(message.starts_with(start), "{message}");
        }
        let (_, told) = read(&["https://x.example/linux-64/a-1-0.conda", TAG]);
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
