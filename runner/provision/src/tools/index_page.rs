//! A project's page of a package index: as JSON (PEP 691) or as HTML (PEP 503, PEP 592 for withdrawn files).

use serde::Deserialize;
use url::Url;
use wrun_core::id::Digest;

/// A file that a page offers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offer {
    pub(crate) file: String,
    pub(crate) url: Url,
    pub(crate) digest: Digest,
    pub(crate) size: Option<u64>,
    pub(crate) requires_python: Option<String>,
}

/// Media type of a page as JSON.
const JSON: &str = "application/vnd.pypi.simple.v1+json";

/// What a client that reads both kinds of pages accepts (PEP 691).
pub(crate) const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, \
                                 text/html;q=0.01";

/// The files of a page that were not withdrawn and come with a SHA-256 digest.
///
/// # Errors
/// The page is not of the kind that it says.
pub(crate) fn read(media_type: &str, body: &[u8], base: &Url) -> Result<Vec<Offer>, String> {
    if media_type == JSON || media_type == "application/json" {
        let page: Page = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        Ok(page
            .files
            .into_iter()
            .filter_map(|file| file.offer(base))
            .collect())
    } else if media_type.contains("html") {
        Ok(anchors(&String::from_utf8_lossy(body))
            .filter_map(|anchor| anchor.offer(base))
            .collect())
    } else {
        Err(format!(
            "`{media_type}` is neither JSON (PEP 691) nor HTML (PEP 503)"
        ))
    }
}

#[derive(Deserialize)]
struct Page {
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: Hashes,
    size: Option<u64>,
    requires_python: Option<String>,
    #[serde(default)]
    yanked: Yanked,
}

#[derive(Default, Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

/// `true`, `false`, or the reason.
#[derive(Deserialize)]
#[serde(untagged)]
enum Yanked {
    Flag(bool),
    Reason(#[expect(dead_code, reason = "its presence is what matters")] String),
}

impl Default for Yanked {
    fn default() -> Self {
        Self::Flag(false)
    }
}

impl File {
    fn offer(self, base: &Url) -> Option<Offer> {
        let Self {
            filename,
            url,
            hashes,
            size,
            requires_python,
            yanked,
        } = self;
        let available = matches!(yanked, Yanked::Flag(false));
        available.then_some(())?;
        Some(Offer {
            file: filename,
            url: base.join(&url).ok()?,
            digest: format!("sha256:{}", hashes.sha256?).parse().ok()?,
            size,
            requires_python,
        })
    }
}

/// The attributes of an `<a>` element and its text.
struct Anchor<'a> {
    attributes: Vec<(&'a str, String)>,
    text: String,
}

impl Anchor<'_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn offer(&self, base: &Url) -> Option<Offer> {
        if self.attribute("data-yanked").is_some() {
            return None;
        }
        let mut url = base.join(self.attribute("href")?).ok()?;
        let digest = url
            .fragment()?
            .strip_prefix("sha256=")
            .map(|hex| format!("sha256:{hex}"))?
            .parse()
            .ok()?;
        url.set_fragment(None);
        Some(Offer {
            file: self.text.clone(),
            url,
            digest,
            size: None,
            requires_python: self.attribute("data-requires-python").map(str::to_owned),
        })
    }
}

/// The `<a>` elements of a page. PEP 503 pages have no markup inside of them.
fn anchors(page: &str) -> impl Iterator<Item = Anchor<'_>> {
    page.split("<a").skip(1).filter_map(|rest| {
        rest.starts_with(char::is_whitespace).then_some(())?;
        let (attributes, rest) = attributes(rest)?;
        let (text, _) = rest.split_once("</a")?;
        Some(Anchor {
            attributes,
            text: unescaped(text.trim()),
        })
    })
}

/// The attributes up to the `>` that ends the tag, which may stand in a quoted value too, and what follows.
fn attributes(tag: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut attributes = Vec::new();
    let mut rest = tag.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            return Some((attributes, after));
        }
        let end = rest.find(|character: char| character.is_whitespace() || "=>".contains(character))?;
        let (name, after) = rest.split_at(end);
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('=').map(str::trim_start) {
            None => ("", after),
            Some(value) => match value.chars().next()? {
                quote @ ('"' | '\'') => value.get(1..)?.split_once(quote)?,
                _ => value
                    .split_at(value.find(|character: char| character.is_whitespace() || character == '>')?),
            },
        };
        if name.is_empty() && value.is_empty() {
            return None;
        }
        attributes.push((name, unescaped(value)));
        rest = after.trim_start();
    }
}

/// Text without the character references that these pages use.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn base() -> Url {
        Url::parse("https://index.example/simple/x/").unwrap()
    }

    #[test]
    fn both_kinds_of_pages_say_the_same() {
        let json = format!(
            r#"{{"files": [
                {{"filename": "x-1-py3-none-any.whl", "url": "../../f/x-1-py3-none-any.whl",
                  "hashes": {{"sha256": "{DIGEST}"}}, "requires-python": ">=3.8", "yanked": false}},
                {{"filename": "x-2-py3-none-any.whl", "url": "y", "hashes": {{"sha256": "{DIGEST}"}}, "yanked": "bad"}},
                {{"filename": "x-3-py3-none-any.whl", "url": "z", "hashes": {{}}}}]}}"#
        );
        let html = format!(
            "<!DOCTYPE html><html><body><abbr>x</abbr>
             <a href=\"../../f/x-1-py3-none-any.whl#sha256={DIGEST}\" data-requires-python='&gt;=3.8' >x-1-py3-none-any.whl</a>
             <a href=\"y#sha256={DIGEST}\" data-yanked=\"\">x-2-py3-none-any.whl</a>
             <a href=z data-x>x-3-py3-none-any.whl</a><br/><a"
        );
        let from_json = read(JSON, json.as_bytes(), &base()).unwrap();
        assert_eq!(from_json, read("text/html", html.as_bytes(), &base()).unwrap());
        assert_eq!(from_json.len(), 1);
        assert_eq!(
            from_json[0].url.as_str(),
            "https://index.example/f/x-1-py3-none-any.whl"
        );
        assert_eq!(from_json[0].requires_python.as_deref(), Some(">=3.8"));
    }

    #[test]
    fn other_pages_are_refused() {
        assert!(read("image/png", b"", &base()).is_err());
        assert!(read(JSON, b"<html>", &base()).is_err());
        for broken in [
            "<a",
            "<a ",
            "<a href",
            "<a href=",
            "<a href=\"",
            "<a ==>",
            "<a href='x'>text",
        ] {
            assert_eq!(
                read("text/html", broken.as_bytes(), &base()),
                Ok(vec![]),
                "{broken}"
            );
        }
    }
}
