//! Files of exact addresses: the `@EXPLICIT` files of `conda list --explicit`.

use std::str::FromStr as _;

use rattler_conda_types::package::CondaArchiveType;
use rattler_conda_types::{ExplicitEnvironmentSpec, PackageArchiveHash};
use url::Url;
use wrun_backend_python::redact;
use wrun_core::canon::Canon;
use wrun_core::diagnostic::Finding;
use wrun_core::id::Digest;

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
    /// The platform that the file says it is for.
    pub(crate) platform: Option<String>,
    /// The packages, in the order of the file.
    pub(crate) packages: Vec<ExplicitPackage>,
}

impl ExplicitFile {
    /// Reads a file's text.
    pub(crate) fn read(path: &str, text: &str) -> Result<Self, Finding> {
        let wrong = |why: String| {
            Finding::error(
                "conda.explicit.syntax",
                "/explicit",
                format!("`{path}` is no file of exact addresses: {why}"),
            )
            .with_help(
                "make one with `conda list --explicit --sha256`; the path of a package on this machine is written \
                 `file:///…`",
            )
        };
        // Empty lines and blanks at the end of lines are what editors leave, and mean nothing.
        let text: String = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .flat_map(|line| [line, "\n"])
            .collect();
        let spec = ExplicitEnvironmentSpec::from_str(&text)
            .map_err(|error| wrong(redact::strip(&error.to_string())))?;
        let packages = spec.packages.into_iter().map(|entry| {
            let hash = match entry.package_archive_hash() {
                Ok(None) => Hash::Unknown,
                Ok(Some(PackageArchiveHash::Md5(md5))) => Hash::Md5(md5.into()),
                Ok(Some(PackageArchiveHash::Sha256(sha256))) => {
                    Hash::Sha256(Digest::from_bytes(sha256.into()))
                }
                Err(error) => {
                    return Err(wrong(format!("`{}`: {error}", redact::strip(entry.url.as_str()))));
                }
            };
            let mut url = entry.url;
            url.set_fragment(None);
            if redact::has_secret(&url) || url.path().contains("/t/") {
                return Err(wrong("an address was written with a secret in it".to_owned()));
            }
            if !matches!(url.scheme(), "https" | "http" | "file")
                || CondaArchiveType::try_from(url.path()).is_none()
            {
                return Err(wrong(format!("`{url}` is not the address of a conda package")));
            }
            Ok(ExplicitPackage { url, hash })
        });
        Ok(Self {
            platform: spec.platform.map(|platform| platform.to_string()),
            packages: packages.collect::<Result<_, _>>()?,
        })
    }
}
