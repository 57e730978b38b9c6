//! Match specs as a spec lists them.

use rattler_conda_types::{MatchSpec, ParseMatchSpecOptions};
use wrun_core::diagnostic::Finding;

/// What to do where several packages stand in the place of one.
pub(crate) const ONE_BY_ONE: &str = "several packages are written one by one, as in `packages = [\"foo\", \"bar\"]` or `--conda foo --conda bar`";

/// Words of a match spec at most: a name, a version and a build.
const WORDS: usize = 3;

/// Reads what `packages` lists.
pub(crate) fn read_all(packages: &[String], findings: &mut Vec<Finding>) -> Vec<MatchSpec> {
    let options = ParseMatchSpecOptions::lenient()
        .with_extras(true)
        .with_conditionals(true)
        .with_flags(true);
    let mut specs = Vec::new();
    for (position, text) in packages.iter().enumerate() {
        let (why, help) = if names_several(text) {
            (
                "it has more words than a name, a version and a build".to_owned(),
                format!("{ONE_BY_ONE}; of one package write `foo`, `foo=1.2` or `foo >=1.2,<2`"),
            )
        } else {
            match MatchSpec::from_str(text, options) {
                Ok(spec) => {
                    specs.push(spec);
                    continue;
                }
                Err(error) => (
                    error.to_string(),
                    "write a name with versions, for instance `numpy`, `python=3.12` or `zlib >=1.2,<2`"
                        .to_owned(),
                ),
            }
        };
        findings.push(
            Finding::error(
                "conda.package.syntax",
                format!("/packages/{position}"),
                format!("`{text}` is no match spec: {why}"),
            )
            .with_help(help),
        );
    }
    specs
}

/// Whether a text is a list of names. The parser takes all that follows a version for a build.
fn names_several(text: &str) -> bool {
    let is_plain = |word: &str| word.starts_with(|letter: char| letter.is_ascii_alphabetic());
    text.split_whitespace().count() > WORDS && !text.contains('[') && text.split_whitespace().all(is_plain)
}
