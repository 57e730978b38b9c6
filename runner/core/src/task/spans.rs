//! Places of a document as places in its text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::issue::Part;
use super::pointer::Pointer;

/// Where the place is in the text, in bytes. A place that is not written gives the nearest one around it that is.
pub(super) fn locate(document: &DeTable<'_>, place: &Pointer, part: Part) -> Range<usize> {
    let mut span = 0..0;
    let mut table = Some(document);
    let mut array = None;
    for segment in place.segments() {
        let found: Option<(Range<usize>, &Spanned<DeValue<'_>>)> = match (table, array) {
            (Some(members), _) => members
                .get_key_value(segment.as_str())
                .map(|(key, value)| (key.span(), value)),
            (None, Some(items)) => {
                let items: &toml::de::DeArray<'_> = items;
                segment
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get(index))
                    .map(|item| (item.span(), item))
            }
            (None, None) => None,
        };
        let Some((key, value)) = found else { return span };
        span = if part == Part::Key { key } else { value.span() };
        table = value.get_ref().as_table();
        array = value.get_ref().as_array();
    }
    span
}

/// The lines of a text.
#[derive(Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Of this text.
    pub(super) fn of(text: &str) -> Self {
        let after_breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(index, _)| index + 1);
        Self {
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub(super) fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = text.char_indices().skip_while(|(index, _)| *index < start);
        (line, before.take_while(|(index, _)| *index < offset).count() + 1)
    }
}

/// The range within the text, on the borders of characters.
pub(super) fn clip(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let text = "a\nü = x\n";
        let lines = Lines::of(text);
        assert_eq!(lines.position(text, 0), (1, 1));
        assert_eq!(lines.position(text, text.find('x').unwrap()), (2, 5));
        assert_eq!(lines.position(text, text.len()), (3, 1));
        assert_eq!(Lines::of("").position("", 0), (1, 1));
    }

    #[test]
    fn a_place_is_found_in_every_way_to_write_it() {
        let text = "a.b = 1\n[c]\nd = [10, { e = 'x' }]\n[[f]]\ng = 2\n";
        let document = DeTable::parse(text).unwrap();
        let at = |place: &str, part| &text[locate(document.get_ref(), &Pointer::parse(place), part)];
        assert_eq!(at("/a/b", Part::Value), "1");
        assert_eq!(at("/a/b", Part::Key), "b");
        assert_eq!(at("/c", Part::Value), "[c]");
        assert_eq!(at("/c", Part::Key), "c");
        assert_eq!(at("/c/d/0", Part::Key), "10");
        assert_eq!(at("/c/d/1/e", Part::Value), "'x'");
        assert_eq!(at("/f/0/g", Part::Value), "2");
        assert_eq!(at("/c/none/deeper", Part::Value), "[c]");
        assert_eq!(at("/a/b/c", Part::Value), "1");
        assert_eq!(at("", Part::Value), "");
    }
}
