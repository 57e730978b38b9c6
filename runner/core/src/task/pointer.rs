//! Places in a document, as lists of keys and indexes.

use std::fmt;

use serde_json::Value;

/// A place in a document: the keys and indexes that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// The place that these keys lead to.
    pub(super) fn of<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> Self {
        Self(segments.into_iter().map(Into::into).collect())
    }

    /// A JSON pointer (RFC 6901). Text that is none is the whole document.
    pub(super) fn parse(text: &str) -> Self {
        text.strip_prefix('/')
            .map(|rest| {
                Self::of(
                    rest.split('/')
                        .map(|segment| segment.replace("~1", "/").replace("~0", "~")),
                )
            })
            .unwrap_or_default()
    }

    /// The entry of that key in the table at this place.
    pub(super) fn join(&self, key: &str) -> Self {
        self.append(&[key.to_owned()])
    }

    /// The item at that index of the list at this place.
    pub(super) fn item(&self, index: usize) -> Self {
        self.append(&[index.to_string()])
    }

    /// The place that `rest` leads to from here.
    pub(super) fn append(&self, rest: &[String]) -> Self {
        Self(self.0.iter().chain(rest).cloned().collect())
    }

    /// The keys and indexes.
    pub(super) fn segments(&self) -> &[String] {
        &self.0
    }

    /// The last key or index; nothing for the whole document.
    pub(super) fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    /// Whether it is the whole document.
    pub(super) const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The first `length` steps.
    pub(super) fn cut(&self, length: usize) -> Self {
        Self(self.0.iter().take(length).cloned().collect())
    }

    /// The place as that of a table, with its preposition: in `[run]`.
    pub(super) fn in_table(&self) -> String {
        match self.0.as_slice() {
            [] => "at the top level".to_owned(),
            keys if keys.iter().any(|key| key.parse::<usize>().is_ok()) => format!("in `{self}`"),
            _ => format!("in `[{self}]`"),
        }
    }

    /// Takes the place out of a document. An item of a list becomes an empty text, so that the others keep their
    /// indexes.
    pub(super) fn take_out(&self, document: &mut Value) {
        let Some((last, parents)) = self.0.split_last() else {
            return;
        };
        let mut inner = document;
        for segment in parents {
            let next = match inner {
                Value::Object(members) => members.get_mut(segment),
                Value::Array(items) => segment.parse().ok().and_then(|index: usize| items.get_mut(index)),
                _ => None,
            };
            let Some(next) = next else { return };
            inner = next;
        }
        match inner {
            Value::Object(members) => {
                members.remove(last);
            }
            Value::Array(items) => {
                if let Some(item) = last.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                    *item = Value::String(String::new());
                }
            }
            _ => {}
        }
    }
}

/// As it would be written: `run.command[0]`, `vars."odd name"`.
impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            if position > 0 && segment.parse::<usize>().is_ok() {
                write!(formatter, "[{segment}]")?;
                continue;
            }
            if position > 0 {
                formatter.write_str(".")?;
            }
            let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if !segment.is_empty() && segment.bytes().all(bare) {
                formatter.write_str(segment)?;
            } else {
                write!(formatter, "{segment:?}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_as_it_is_written() {
        assert_eq!(Pointer::parse("/run/command/0").to_string(), "run.command[0]");
        assert_eq!(Pointer::parse("/vars/a~1b ~0").to_string(), "vars.\"a/b ~\"");
        assert!(Pointer::parse("packages").is_root());
    }

    #[test]
    fn an_item_that_is_taken_out_leaves_the_others_where_they_are() {
        let mut document = serde_json::json!({ "a": [1, 2], "b": { "c": 3 } });
        for place in ["/a/0", "/b/c", "/b/x/y", "/a/9", ""] {
            Pointer::parse(place).take_out(&mut document);
        }
        assert_eq!(document, serde_json::json!({ "a": ["", 2], "b": {} }));
    }
}
