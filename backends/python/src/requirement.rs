//! One requirement: a package of an index, an address, or something local.

use std::str::FromStr as _;

use pep508_rs::{Pep508ErrorSource, Requirement as Pep508, VerbatimUrl, VersionOrUrl};
use url::Url;

use crate::path::{self, PathFault};
use crate::redact;

/// What is wrong with a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The last part of a finding's code: `syntax`.
    pub kind: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            help: help.into(),
        }
    }

    pub(crate) fn path(fault: PathFault, written: &str) -> Self {
        Self::new("path", fault.message(written), fault.help())
    }
}

/// A requirement that was understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    /// A package of an index, or of an address that is reached over the network.
    Named(Named),
    /// A folder or an archive of the machine.
    Local(Local),
}

/// A requirement in normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its name (PEP 503).
    pub name: String,
    /// All of it, as tools read it (PEP 508): extras, versions and markers in a canonical order.
    pub text: String,
    /// Whether it allows one version only: `==` without a star, or an address.
    pub exact: bool,
}

/// A folder or an archive, by path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Local {
    /// Its path: normalised, relative to the task's folder or absolute.
    pub path: String,
    /// Extras in normal form, sorted.
    pub extras: Vec<String>,
    /// Its marker, in a canonical form; empty if there is none.
    pub marker: String,
}

impl Local {
    /// The line that a tool reads once the thing itself is at `place`.
    #[must_use]
    pub fn line(&self, place: &str) -> String {
        let extras = if self.extras.is_empty() {
            String::new()
        } else {
            format!("[{}]", self.extras.join(","))
        };
        let marker = if self.marker.is_empty() {
            String::new()
        } else {
            format!(" ; {}", self.marker)
        };
        format!("{place}{extras}{marker}")
    }
}

/// Reads one requirement. `base` is the folder that its relative path starts at.
///
/// # Errors
/// It is none, or one that an environment cannot be made from.
pub fn parse(text: &str, base: &str) -> Result<Requirement, Fault> {
    let text = text.trim();
    if text == "-e" || text.starts_with("-e ") || text.starts_with("--editable") {
        return Err(Fault::new(
            "editable",
            format!(
                "`{}` is editable, and an environment that is kept does not change with its sources",
                redact::strip(text)
            ),
            "remove the `-e`: the folder is then installed, and installed again when it changes",
        ));
    }
    if text.starts_with('-') {
        return Err(Fault::new(
            "option",
            format!("`{}` is an option, not a requirement", redact::strip(text)),
            "use the keys of the environment's table, such as `indexes` or `constraints`",
        ));
    }
    if let Some((extras, reference)) = split_direct(text)
        && is_local(reference)
    {
        return local(reference, extras, base);
    }
    if is_local(text) {
        return local(text, "", base);
    }
    if let Some((scheme, _)) = text
        .split_once("://")
        .filter(|(scheme, _)| !scheme.contains(['@', ' ']))
    {
        return Err(Fault::new(
            "unnamed",
            format!("`{}` does not say which package it is", redact::strip(text)),
            format!("write its name first: `name @ {scheme}://…`"),
        ));
    }
    named(text)
}

/// The parser takes a name that ends with `-`, `_` or `.` for one that cannot be, and panics; PEP 508 has none.
fn check_names(text: &str) -> Result<(), Fault> {
    let is_inner = |letter: char| "-_.".contains(letter);
    let is_outer = |letter: char| !(letter.is_alphanumeric() || is_inner(letter));
    let (name, rest) = text.split_at(text.find(is_outer).unwrap_or(text.len()));
    let extras = rest
        .trim_start()
        .strip_prefix('[')
        .and_then(|inner| inner.split(']').next())
        .unwrap_or_default();
    match std::iter::once(name)
        .chain(extras.split(is_outer))
        .find(|name| name.ends_with(is_inner))
    {
        Some(bad) => Err(Fault::new(
            "syntax",
            format!(
                "`{}` is not a requirement (PEP 508): the name `{bad}` ends with neither a letter nor a digit",
                redact::strip(text)
            ),
            SYNTAX_HELP,
        )),
        None => Ok(()),
    }
}

const SYNTAX_HELP: &str =
    "write a name with, if needed, versions: `requests`, `requests>=2.31,<3`, `requests[socks]==2.32.3`";

fn named(text: &str) -> Result<Requirement, Fault> {
    check_names(text)?;
    let parsed = Pep508::<VerbatimUrl>::from_str(text).map_err(|error| {
        let why = match error.message {
            Pep508ErrorSource::String(message) | Pep508ErrorSource::UnsupportedRequirement(message) => {
                message
            }
            Pep508ErrorSource::UrlError(error) => error.to_string(),
        };
        let column = error
            .input
            .get(..error.start)
            .map_or(0, |before| before.chars().count())
            + 1;
        let why = redact::strip(why.lines().next().unwrap_or_default());
        Fault::new(
            "syntax",
            format!(
                "`{}` is not a requirement (PEP 508): {why}, at character {column}",
                redact::strip(text)
            ),
            SYNTAX_HELP,
        )
    })?;
    let name = parsed.name.to_string();
    let mut out = name.clone();
    let mut extras: Vec<String> = parsed.extras.iter().map(ToString::to_string).collect();
    extras.sort();
    extras.dedup();
    if !extras.is_empty() {
        out.extend(["[", &extras.join(","), "]"]);
    }
    let mut exact = false;
    match &parsed.version_or_url {
        None => {}
        Some(VersionOrUrl::VersionSpecifier(specifiers)) => {
            let mut specifiers: Vec<String> = specifiers.iter().map(ToString::to_string).collect();
            specifiers.sort();
            specifiers.dedup();
            exact = specifiers
                .iter()
                .any(|one| one.starts_with("==") && !one.ends_with('*'));
            out.push_str(&specifiers.join(","));
        }
        Some(VersionOrUrl::Url(url)) => {
            check_address(url.raw(), &name)?;
            exact = true;
            out.extend([" @ ", url.raw().as_str()]);
        }
    }
    if let Some(marker) = parsed.marker.try_to_string() {
        out.extend([" ; ", &marker]);
    }
    Ok(Requirement::Named(Named {
        name,
        text: out,
        exact,
    }))
}

fn check_address(url: &Url, name: &str) -> Result<(), Fault> {
    if redact::has_secret(url) {
        return Err(Fault::new(
            "password",
            format!("the address of `{name}` was written with a user name or password in it"),
            "publish it on an index and give that one `credentials = \"name\"`, or reach a repository over SSH; \
             for an index set the variables `WRUN_INDEX_NAME_USERNAME` and `WRUN_INDEX_NAME_PASSWORD`",
        ));
    }
    Ok(())
}

/// `name[extras] @ reference` taken apart, into extras and reference.
fn split_direct(text: &str) -> Option<(&str, &str)> {
    let name_end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter)))?;
    let (name, rest) = text.split_at(name_end);
    let rest = rest.trim_start();
    let (extras, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let reference = rest.trim_start().strip_prefix('@')?;
    (!name.is_empty()).then_some((extras, reference.trim()))
}

/// Whether a reference is a path: it starts like one, has a `/` and no scheme, or ends like an archive.
fn is_local(text: &str) -> bool {
    let reference = split_marker(text).0;
    let bare = strip_extras(reference).0;
    if bare.starts_with("file:") || matches!(bare, "." | "..") {
        return true;
    }
    if bare.contains("://") || bare.contains('@') {
        return bare.starts_with(['.', '/']);
    }
    bare.contains('/') || path::is_archive(bare)
}

/// A reference without its marker, and the marker. In front of the `;` a space is needed, since a path may hold one.
fn split_marker(text: &str) -> (&str, &str) {
    text.split_once(" ;")
        .map_or((text.trim(), ""), |(reference, marker)| {
            (reference.trim(), marker.trim())
        })
}

fn strip_extras(text: &str) -> (&str, &str) {
    text.strip_suffix(']')
        .and_then(|head| head.rsplit_once('['))
        .map_or((text, ""), |(path, extras)| (path, extras))
}

fn local(text: &str, extras: &str, base: &str) -> Result<Requirement, Fault> {
    let (reference, marker) = split_marker(text);
    let (written, suffix) = strip_extras(reference);
    let decoded = match written.strip_prefix("file:") {
        Some(rest) if rest.starts_with("//") => Url::parse(written)
            .ok()
            .filter(|url| matches!(url.host_str(), None | Some("" | "localhost")))
            .and_then(|url| url.to_file_path().ok())
            .and_then(|path| path.to_str().map(str::to_owned))
            .ok_or_else(|| {
                Fault::new(
                    "path",
                    format!(
                        "`{}` is not the path of a file of this machine",
                        redact::strip(written)
                    ),
                    "write `file:///absolute/path`, or a path relative to the task's folder",
                )
            })?,
        Some(rest) => rest.to_owned(),
        None => written.to_owned(),
    };
    let path = path::normalise(base, &decoded).map_err(|fault| Fault::path(fault, &decoded))?;
    let mut extras: Vec<String> = [extras, suffix]
        .iter()
        .flat_map(|list| list.split(','))
        .map(crate::spec::normalised_name)
        .filter(|extra| !extra.is_empty())
        .collect();
    extras.sort();
    extras.dedup();
    let marker = if marker.is_empty() {
        String::new()
    } else {
        let tree = pep508_rs::MarkerTree::parse_str::<VerbatimUrl>(marker).map_err(|error| {
            let why = error.to_string();
            Fault::new(
                "syntax",
                format!(
                    "`{marker}` is not a marker (PEP 508): {}",
                    why.lines().next().unwrap_or_default()
                ),
                "write a marker such as `python_version >= '3.11'`",
            )
        })?;
        tree.try_to_string().unwrap_or_default()
    };
    Ok(Requirement::Local(Local { path, extras, marker }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(written: &str) -> String {
        match parse(written, ".").unwrap() {
            Requirement::Named(named) => named.text,
            Requirement::Local(local) => local.line(&local.path),
        }
    }

    #[test]
    fn the_same_meaning_is_the_same_text() {
        for (one, two) in [
            ("Emoji >= 2 , < 3", "emoji<3,>=2"),
            ("requests[Socks,security]", "requests[security,socks,socks]"),
            ("a_b.c", "A-B-C"),
            (
                "x ; python_version>'3.8' and os_name=='posix'",
                "x; os_name == \"posix\" and python_version > \"3.8\"",
            ),
            ("./pkg", "pkg/"),
            ("./pkg[a,b]", "./x/../pkg[b,a]"),
            ("lib @ file:///opt/lib", "/opt/lib"),
        ] {
            assert_eq!(text(one), text(two), "{one} and {two}");
        }
        assert_ne!(text("emoji>=2"), text("emoji>2"));
    }

    #[test]
    fn what_is_local() {
        for written in [
            "./x",
            "../y",
            ".",
            "x/y",
            "dist/a-1.0-py3-none-any.whl",
            "a-1.0.tar.gz",
            "n @ ./x",
            "n @ file:///x",
        ] {
            assert!(
                matches!(parse(written, "sub"), Ok(Requirement::Local(_))),
                "{written}"
            );
        }
        for written in [
            "emoji",
            "n @ https://x.org/a-1.0.tar.gz",
            "n @ git+https://x.org/a@v1",
            "a==1.0",
        ] {
            assert!(
                matches!(parse(written, "sub"), Ok(Requirement::Named(_))),
                "{written}"
            );
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (written, kind) in [
            ("emoji>>2", "syntax"),
            ("", "syntax"),
            ("-e ./x", "editable"),
            ("--index-url x", "option"),
            ("git+https://x.org/a", "unnamed"),
            ("https://x.org/a-1.0-py3-none-any.whl", "unnamed"),
            ("n @ git+https://u:hunter2@x.org/a", "password"),
            ("n @ gopher://x.org/a", "syntax"),
            ("../x", "path"),
            ("file://elsewhere/x", "path"),
            ("./x ; nonsense == 1", "syntax"),
        ] {
            let fault = parse(written, ".").unwrap_err();
            assert_eq!(fault.kind, kind, "{written}: {}", fault.message);
            assert!(!format!("{fault:?}").contains("hunter2"), "{written}");
        }
        insta::assert_snapshot!(parse("emoji>>2", ".").unwrap_err().message, @r#"`emoji>>2` is not a requirement (PEP 508): no such comparison operator ">>", must be one of ~= == != <= >= < > ===, at character 6"#);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_reads_the_same_again(
            written in "([a-z0-9=<>@./ \\[\\],;:'\"_-]|extra|python_version|file:|git\\+| ; | @ |==){0,20}"
        ) {
            if let Ok(Requirement::Named(named)) = parse(&written, ".") {
                let Ok(Requirement::Named(again)) = parse(&named.text, ".") else {
                    return Err(TestCaseError::fail(named.text));
                };
                prop_assert_eq!(named.text, again.text);
            }
        }
    }
}
