//! What was asked for: any Python, a version, a range, an implementation, or a file.

use std::path::PathBuf;

use pep440_rs::{Operator, Version, VersionSpecifiers};

use crate::error::ProvisionError;

/// A release that is newer than every patch release of a minor version.
const NEWEST_PATCH: u64 = 99_999;

/// A request for an interpreter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PythonRequest {
    /// The implementation (`sys.implementation.name`), if one was named.
    pub(crate) implementation: Option<String>,
    /// The versions that will do.
    pub(crate) versions: Versions,
    /// The file, if one was named.
    pub(crate) path: Option<PathBuf>,
}

/// The versions that will do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Versions {
    /// Any Python 3.
    Any,
    /// Those that begin with these numbers: `3.11` is every `3.11.x`.
    Prefix(Vec<u64>),
    /// Those of a range (PEP 440).
    Range(VersionSpecifiers),
}

impl PythonRequest {
    /// Reads a request; `None` is any Python.
    ///
    /// # Errors
    /// It is no request.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ProvisionError> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(Self {
                implementation: None,
                versions: Versions::Any,
                path: None,
            });
        };
        if text.contains('/') {
            return Ok(Self {
                implementation: None,
                versions: Versions::Any,
                path: Some(PathBuf::from(text)),
            });
        }
        let letters = text
            .find(|character: char| !character.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(letters);
        let name = name.to_ascii_lowercase();
        let versions = match rest.strip_prefix('@').unwrap_or(rest) {
            "" if name.is_empty() => return Err(invalid(text, "it is empty")),
            "" => Versions::Any,
            versions => Versions::parse(versions).map_err(|reason| invalid(text, &reason))?,
        };
        let implementation = match name.as_str() {
            "" | "python" => None,
            "cpython" | "pypy" | "graalpy" => Some(name),
            _ => {
                return Err(invalid(
                    text,
                    &format!("`{name}` is not an implementation of Python that is known"),
                ));
            }
        };
        Ok(Self {
            implementation,
            versions,
            path: None,
        })
    }

    /// Whether an interpreter of this implementation and version will do.
    pub(crate) fn accepts(&self, implementation: &str, version: &Version) -> bool {
        self.implementation
            .as_deref()
            .is_none_or(|wanted| wanted == implementation)
            && self.versions.accept(version)
    }

    /// Whether the name of a file that says so much may be that of an interpreter that will do.
    pub(crate) fn may_accept(&self, implementation: Option<&str>, release: &[u64]) -> bool {
        let other_kind = match (self.implementation.as_deref(), implementation) {
            (Some(wanted), Some(named)) => wanted != named,
            _ => false,
        };
        !other_kind && self.versions.may_accept(release)
    }

    /// The request in words, for messages.
    pub(crate) fn describe(&self) -> String {
        let versions = match &self.versions {
            Versions::Any => String::new(),
            Versions::Prefix(numbers) => dotted(numbers),
            Versions::Range(specifiers) => specifiers.to_string(),
        };
        match (&self.implementation, versions.as_str()) {
            (_, "") if self.implementation.is_none() => "any version of Python 3".to_owned(),
            (None, versions) => format!("`{versions}`"),
            (Some(implementation), "") => format!("`{implementation}`"),
            (Some(implementation), versions) => format!("`{implementation}@{versions}`"),
        }
    }

    /// What to do when there is none.
    pub(crate) fn advice(&self) -> String {
        const KNOWN_MINORS: std::ops::RangeInclusive<u64> = 8..=14;
        if self.path.is_some() {
            return "name the file of an interpreter, or a folder that has one in `bin/python`".to_owned();
        }
        let fitting = KNOWN_MINORS
            .rev()
            .map(|minor| vec![3, minor])
            .find(|release| self.versions.may_accept(release));
        let set = "or set `WRUN_PYTHON` to the path of one";
        match (&self.versions, self.implementation.as_deref(), fitting) {
            (Versions::Prefix(numbers), ..) if numbers.first().is_some_and(|major| *major != 3) => {
                "ask for a version of Python 3, for instance `python = \"3.12\"`".to_owned()
            }
            (Versions::Range(range), _, None) => {
                format!("no version of Python is known that fits `{range}`: ask for another range")
            }
            (Versions::Prefix(numbers), None | Some("cpython"), _) if numbers.len() > 2 => {
                let (exact, minor) = (dotted(numbers), dotted(numbers.get(..2).unwrap_or(numbers)));
                format!(
                    "ask for `{minor}`, which every {minor}.x is, or install it with `uv python install {exact}`, {set}"
                )
            }
            (versions, Some(other), _) if other != "cpython" => {
                let version = match versions {
                    Versions::Prefix(numbers) => format!("@{}", dotted(numbers)),
                    _ => String::new(),
                };
                format!("install it, for instance with `uv python install {other}{version}`, {set}")
            }
            (Versions::Prefix(numbers), ..) if numbers.len() == 2 => installed(&dotted(numbers), set),
            (_, _, fitting) => {
                let version = fitting.map_or_else(|| "3".to_owned(), |release| dotted(&release));
                installed(&version, set)
            }
        }
    }
}

fn installed(version: &str, set: &str) -> String {
    format!(
        "install one, for instance with `apt install python{version}` or `uv python install {version}`, {set}"
    )
}

impl Versions {
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(|character: char| character.is_ascii_digit()) {
            let numbers: Option<Vec<u64>> = text.split('.').map(|part| part.parse().ok()).collect();
            if let Some(numbers) = numbers {
                return Ok(Self::Prefix(numbers));
            }
            // `3.14.0rc1` is one version and no range.
            return format!("=={text}")
                .parse()
                .map(Self::Range)
                .map_err(|_| format!("`{text}` is not a version (PEP 440)"));
        }
        text.parse()
            .map(Self::Range)
            .map_err(|_| format!("`{text}` is neither a version nor a range (PEP 440)"))
    }

    fn accept(&self, version: &Version) -> bool {
        match self {
            Self::Any => version.release().first() == Some(&3),
            Self::Prefix(numbers) => version.release().starts_with(numbers),
            Self::Range(specifiers) => specifiers.contains(version),
        }
    }

    /// Whether some version that begins with `release` will do. An empty `release` says nothing.
    fn may_accept(&self, release: &[u64]) -> bool {
        match self {
            _ if release.is_empty() => true,
            Self::Any => release.first() == Some(&3),
            Self::Prefix(numbers) => numbers.iter().zip(release).all(|(wanted, named)| wanted == named),
            Self::Range(specifiers) => {
                let mut newest = release.to_vec();
                newest.resize(3, NEWEST_PATCH);
                let (oldest, newest) = (Version::new(release), Version::new(newest));
                specifiers.iter().all(|specifier| match specifier.operator() {
                    Operator::NotEqual | Operator::NotEqualStar => true,
                    Operator::Equal | Operator::ExactEqual => {
                        let wanted = specifier.version().release();
                        wanted
                            .iter()
                            .chain(std::iter::repeat(&0))
                            .zip(release)
                            .all(|(wanted, named)| wanted == named)
                    }
                    _ => specifier.contains(&oldest) || specifier.contains(&newest),
                })
            }
        }
    }
}

pub(crate) fn dotted(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

fn invalid(request: &str, reason: &str) -> ProvisionError {
    ProvisionError::PythonRequest {
        request: request.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> PythonRequest {
        PythonRequest::parse(Some(text)).unwrap()
    }

    fn accepts(text: &str, implementation: &str, version: &str) -> bool {
        request(text).accepts(implementation, &version.parse().unwrap())
    }

    #[test]
    fn requests_accept_what_they_say() {
        assert!(accepts("3", "cpython", "3.13.0"));
        assert!(accepts("3.11", "cpython", "3.11.7"));
        assert!(!accepts("3.1", "cpython", "3.11.7"));
        assert!(accepts("3.11.7", "pypy", "3.11.7"));
        assert!(accepts(">=3.10,<3.13", "cpython", "3.12.1"));
        assert!(!accepts(">=3.10,<3.13", "cpython", "3.13.0"));
        assert!(accepts("pypy@3.10", "pypy", "3.10.14"));
        assert!(!accepts("pypy", "cpython", "3.10.14"));
        assert!(accepts("cpython3.12", "cpython", "3.12.0"));
        assert!(accepts("python3.12", "cpython", "3.12.0"));
        assert!(accepts("3.14.0rc1", "cpython", "3.14.0rc1"));
        assert!(
            !PythonRequest::parse(None)
                .unwrap()
                .accepts("cpython", &"2.7.18".parse().unwrap())
        );
    }

    #[test]
    fn names_rule_out_only_what_cannot_be() {
        for (text, release, may) in [
            ("3.11", &[3_u64, 11][..], true),
            ("3.11", &[3, 12], false),
            ("3.11.7", &[3, 11], true),
            ("3.11.7", &[3, 11, 6], false),
            ("3.11", &[], true),
            (">=3.10,<3.13", &[3, 9], false),
            (">=3.10,<3.13", &[3, 10], true),
            (">=3.10,<3.13", &[3, 13], false),
            (">=3.10.5", &[3, 10], true),
            ("~=3.11.5", &[3, 11], true),
            ("~=3.11.5", &[3, 12], false),
            ("==3.11.7", &[3, 11], true),
            ("==3.11.7", &[3, 12], false),
            ("==3.11.*", &[3, 11], true),
            ("==3.11.*", &[3, 12], false),
            ("!=3.11.7", &[3, 11], true),
        ] {
            assert_eq!(request(text).may_accept(None, release), may, "{text} {release:?}");
        }
        assert!(!request("pypy@3.10").may_accept(Some("cpython"), &[3, 10]));
        assert!(!PythonRequest::parse(None).unwrap().may_accept(None, &[2, 7]));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["ruby@3", "3.x", ">=three", "@", "v2"] {
            assert!(PythonRequest::parse(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(
            request(".venv/bin/python").path,
            Some(PathBuf::from(".venv/bin/python"))
        );
    }

    #[test]
    fn requests_are_described() {
        assert_eq!(request("pypy@3.10").describe(), "`pypy@3.10`");
        assert_eq!(
            PythonRequest::parse(None).unwrap().describe(),
            "any version of Python 3"
        );
    }

    #[test]
    fn advice_can_be_followed() {
        for (text, says) in [
            ("3.11", "apt install python3.11"),
            (">=3.10,<3.13", "apt install python3.12"),
            ("3.11.99", "ask for `3.11`"),
            ("2.7", "ask for a version of Python 3"),
            ("pypy", "uv python install pypy`"),
            ("pypy@3.10", "uv python install pypy@3.10`"),
            (">=3.11,<3.10", "ask for another range"),
            ("./venv", "name the file of an interpreter"),
        ] {
            let advice = request(text).advice();
            assert!(advice.contains(says), "{text}: {advice}");
        }
    }
}
