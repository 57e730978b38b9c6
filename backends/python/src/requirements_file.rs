//! Requirements files, as pip defines them.
//!
//! <https://pip.pypa.io/en/stable/reference/requirements-file-format/> is the rule: comments, continued lines,
//! `${VARIABLES}`, options of the file and options of one requirement.

use std::collections::BTreeMap;

use crate::redact;
use crate::requirement::Fault;

/// A line of a file, as far as it has a meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// A requirement with the digests that its files may have (`sha256:…`).
    Requirement {
        /// The requirement.
        text: String,
        /// The digests; none if any file will do.
        hashes: Vec<String>,
    },
    /// `-r FILE`.
    Include(String),
    /// `-c FILE`.
    Constrain(String),
    /// `--index-url URL`: the index that stands in for the public one.
    IndexUrl(String),
    /// `--extra-index-url URL`.
    ExtraIndexUrl(String),
    /// `--find-links URL-OR-PATH`.
    FindLinks(String),
    /// `--pre`.
    Pre,
    /// `--require-hashes`.
    RequireHashes,
    /// `--only-binary NAMES`.
    OnlyBinary(Vec<String>),
}

/// A line that was read, or what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it starts, counted from 1.
    pub number: usize,
    /// What it says.
    pub statement: Result<Statement, Fault>,
}

/// All lines of a file that say something. `variables` are those that `${NAME}` may stand for.
#[must_use]
pub fn scan(text: &str, variables: &BTreeMap<String, String>) -> Vec<Line> {
    logical_lines(text)
        .into_iter()
        .map(|(number, line)| Line {
            number,
            statement: expand(&line, variables).and_then(|line| statement(&line)),
        })
        .collect()
}

/// Lines with continuations joined and comments taken out, without empty ones.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut pending: Option<(usize, String)> = None;
    for (index, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let comment_only = raw.trim_start().starts_with('#');
        let (number, mut line) = pending.take().unwrap_or((index + 1, String::new()));
        if let Some(head) = raw.strip_suffix('\\').filter(|_| !comment_only) {
            line.push_str(head);
            pending = Some((number, line));
        } else {
            if !line.is_empty() && comment_only {
                line.push(' ');
            }
            line.push_str(raw);
            lines.push((number, line));
        }
    }
    lines.extend(pending);
    lines
        .into_iter()
        .map(|(number, line)| (number, without_comment(&line).trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

/// A comment starts with a `#` at the start of a line or after white space.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (index, letter) in line.char_indices() {
        if letter == '#' && before.is_whitespace() {
            return line.get(..index).unwrap_or(line);
        }
        before = letter;
    }
    line
}

/// `${NAME}` is a variable where NAME is upper-case letters, digits and `_`.
fn expand(line: &str, variables: &BTreeMap<String, String>) -> Result<String, Fault> {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let is_variable = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if let Some((name, tail)) = after.split_once('}').filter(|(name, _)| is_variable(name)) {
            let value = variables.get(name).ok_or_else(|| {
                Fault::new(
                    "variable",
                    format!("`${{{name}}}` stands for a variable that the environment does not declare"),
                    format!(
                        "add `{name}` to `variables`; for a user name or password write an index with `credentials` \
                         in place of it"
                    ),
                )
            })?;
            out.push_str(value);
            rest = tail;
        } else {
            out.push_str("${");
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn statement(line: &str) -> Result<Statement, Fault> {
    if !line.starts_with('-') {
        let (text, hashes) = entry(line)?;
        return Ok(Statement::Requirement { text, hashes });
    }
    let (option, value) = split_option(line);
    let value = || {
        let value = value.trim().trim_matches(['"', '\'']);
        if value.is_empty() {
            return Err(Fault::new(
                "option",
                format!("`{option}` has no value"),
                format!("write `{option} VALUE`"),
            ));
        }
        Ok(value.to_owned())
    };
    match option {
        "-r" | "--requirement" => value().map(Statement::Include),
        "-c" | "--constraint" => value().map(Statement::Constrain),
        "-i" | "--index-url" | "--pypi-url" => value().map(Statement::IndexUrl),
        "--extra-index-url" => value().map(Statement::ExtraIndexUrl),
        "-f" | "--find-links" => value().map(Statement::FindLinks),
        "--pre" => Ok(Statement::Pre),
        "--require-hashes" => Ok(Statement::RequireHashes),
        "--only-binary" => value().map(|names| {
            Statement::OnlyBinary(names.split(',').map(|name| name.trim().to_owned()).collect())
        }),
        "-e" | "--editable" => Err(Fault::new(
            "editable",
            format!(
                "`{}` is editable, and an environment that is kept does not change with its sources",
                redact::strip(line)
            ),
            "remove the `-e`: the folder is then installed, and installed again when it changes",
        )),
        "--trusted-host" => Err(Fault::new(
            "option",
            "`--trusted-host` turns off the check of certificates",
            "give the authority's certificate with the variable `SSL_CERT_FILE` in place of it",
        )),
        _ => Err(Fault::new(
            "option",
            format!("the option `{option}` cannot be used here"),
            "remove it; of options, files may have -r, -c, --index-url, --extra-index-url, --find-links, --pre, --only-binary and --require-hashes",
        )),
    }
}

/// `-r FILE`, `-rFILE`, `--requirement FILE` and `--requirement=FILE`.
fn split_option(line: &str) -> (&str, &str) {
    let end = line
        .find(|letter: char| letter.is_whitespace() || letter == '=')
        .unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    match word.strip_prefix("--") {
        Some(_) => (word, rest.strip_prefix('=').unwrap_or(rest)),
        None => word.split_at_checked(2).map_or((word, rest), |(option, glued)| {
            if glued.is_empty() {
                (option, rest)
            } else {
                (option, line.get(2..).unwrap_or_default())
            }
        }),
    }
}

/// A requirement and the digests that it allows (`name==1.0 --hash=sha256:…`), sorted.
///
/// # Errors
/// It has an option other than `--hash`, or a digest that is none.
pub fn entry(line: &str) -> Result<(String, Vec<String>), Fault> {
    let Some(start) = line.find(" --") else {
        return Ok((line.to_owned(), Vec::new()));
    };
    let (text, options) = line.split_at(start);
    let mut hashes = Vec::new();
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        let hash = match word.strip_prefix("--hash") {
            Some("") => words.next().unwrap_or_default(),
            Some(rest) if rest.starts_with('=') => rest.get(1..).unwrap_or_default(),
            _ => {
                let option = word.split('=').next().unwrap_or(word);
                return Err(Fault::new(
                    "option",
                    format!("the option `{option}` cannot be used here"),
                    "remove it; a requirement may have `--hash=sha256:…` only",
                ));
            }
        };
        let well_formed = hash.split_once(':').is_some_and(|(algorithm, digits)| {
            matches!(algorithm, "sha256" | "sha384" | "sha512")
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if !well_formed {
            return Err(Fault::new(
                "hash",
                format!("`{hash}` is not a digest that can be trusted"),
                "write `--hash=sha256:` followed by 64 hexadecimal digits",
            ));
        }
        hashes.push(hash.to_ascii_lowercase());
    }
    hashes.sort();
    hashes.dedup();
    Ok((text.trim().to_owned(), hashes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_read_as_pip_reads_it() {
        let text = "\u{feff}# top\nEmoji>=2  # why\nsix \\\n  ==1.17.0 \\\n    --hash=sha256:AA\n-r more.txt\n-cpins.txt\n\
                    --index-url=https://x.org/simple\nx @ https://x.org/a#frag\n--only-binary a,b\n\n";
        let lines: Vec<_> = scan(text, &BTreeMap::new())
            .into_iter()
            .map(|line| (line.number, line.statement.unwrap()))
            .collect();
        let requirement = |text: &str, hashes: &[&str]| Statement::Requirement {
            text: text.to_owned(),
            hashes: hashes.iter().map(|hash| (*hash).to_owned()).collect(),
        };
        assert_eq!(
            lines,
            [
                (2, requirement("Emoji>=2", &[])),
                (3, requirement("six   ==1.17.0", &["sha256:aa"])),
                (6, Statement::Include("more.txt".to_owned())),
                (7, Statement::Constrain("pins.txt".to_owned())),
                (8, Statement::IndexUrl("https://x.org/simple".to_owned())),
                (9, requirement("x @ https://x.org/a#frag", &[])),
                (10, Statement::OnlyBinary(vec!["a".to_owned(), "b".to_owned()])),
            ]
        );
    }

    #[test]
    fn variables_have_to_be_declared() {
        let declared = BTreeMap::from([("VERSION".to_owned(), "2".to_owned())]);
        let lines = scan("emoji==${VERSION}\nx==${TOKEN}\ny==${lower}\n", &declared);
        assert!(matches!(&lines[0].statement, Ok(Statement::Requirement { text, .. }) if text == "emoji==2"));
        assert_eq!(lines[1].statement.as_ref().unwrap_err().kind, "variable");
        assert!(
            matches!(&lines[2].statement, Ok(Statement::Requirement { text, .. }) if text == "y==${lower}")
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (line, kind) in [
            ("--trusted-host x.org", "option"),
            ("-e ./x", "editable"),
            ("--no-index", "option"),
            ("--index-url", "option"),
            ("x --global-option=y", "option"),
            ("x==1 --hash=md5:00", "hash"),
        ] {
            let lines = scan(line, &BTreeMap::new());
            assert_eq!(lines[0].statement.as_ref().unwrap_err().kind, kind, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s).*") {
            let _ = scan(&text, &BTreeMap::new());
        }
    }
}
