//! Text of others, made harmless to show.

use std::borrow::Cow;

/// The text with control characters written out in place of being sent to a terminal, which would obey them: escape
/// sequences, the bell, backspaces (ECMA-48, 5.2 and 5.3), changes of direction. Line ends and tabulators stay.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        push(&mut shown, letter);
    }
    shown.into()
}

/// As [`harmless`], in one line: what has line ends in it, as the name of a file can, must not look like several things.
#[must_use]
pub fn harmless_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_odd) {
        return text.into();
    }
    let escaped = |letter: char| -> String {
        if is_odd(letter) {
            letter.escape_default().collect()
        } else {
            letter.into()
        }
    };
    text.chars().map(escaped).collect::<String>().into()
}

/// As [`harmless`], but for colours and the like (`SGR`, ECMA-48, 8.3.117), which change how text looks and not where it
/// is.
#[must_use]
pub fn harmless_but_colours(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = colour(rest).unwrap_or(letter.len_utf8());
        let (piece, after) = rest.split_at(length);
        if length > letter.len_utf8() {
            shown.push_str(piece);
        } else {
            push(&mut shown, letter);
        }
        rest = after;
    }
    shown.into()
}

/// What a program wrote, as lines to be kept: as [`harmless`], and a line that was written over again and again is one for
/// each time.
#[must_use]
pub fn harmless_output(text: &str) -> String {
    if text.contains('\r') {
        harmless(&text.replace("\r\n", "\n").replace('\r', "\n")).into_owned()
    } else {
        harmless(text).into_owned()
    }
}

/// Whether it has no place within a line: it ends the line, or a terminal obeys it.
pub(crate) fn is_odd(letter: char) -> bool {
    letter.is_control() || turns(letter)
}

fn is_harmful(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\n' | '\t') || turns(letter)
}

/// Whether it turns the direction in which text is shown, so that it reads as another text (Unicode Standard Annex 9,
/// section 2; CVE-2021-42574).
const fn turns(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push(shown: &mut String, letter: char) {
    if is_harmful(letter) {
        shown.extend(letter.escape_unicode());
    } else {
        shown.push(letter);
    }
}

/// How long the sequence for a colour is that the text begins with.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|letter: char| !matches!(letter, '0'..='9' | ';' | ':'))?;
    let rest = parameters.get(end..)?;
    rest.starts_with('m').then_some(end + "\u{1b}[m".len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_one() {
        assert_eq!(harmless_line("a b"), "a b");
        assert_eq!(
            harmless_line("a\n  write /etc\x1b[2J\t"),
            "a\\n  write /etc\\u{1b}[2J\\t"
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(harmless("plain\n\ttext"), "plain\n\ttext");
        assert_eq!(
            harmless("a\u{1b}[2Jb\u{9b}c\u{7f}"),
            "a\\u{1b}[2Jb\\u{9b}c\\u{7f}"
        );
        assert_eq!(harmless("\u{1b}[31mred"), "\\u{1b}[31mred");
    }

    #[test]
    fn colours_may_stay_and_nothing_else() {
        let red = "\u{1b}[1;38:5:1mred\u{1b}[0m\u{1b}[m";
        assert_eq!(harmless_but_colours(red), red);
        for other in [
            "\u{1b}[2J",
            "\u{1b}[1;1H",
            "\u{1b}]0;title\u{7}",
            "\u{1b}[31",
            "\u{1b}",
            "\u{9b}31m",
            "\u{1b}[?1m",
        ] {
            assert!(
                !harmless_but_colours(other).contains(char::is_control),
                "{other:?}"
            );
        }
    }

    #[test]
    fn lines_written_over_are_lines() {
        assert_eq!(harmless_output("1%\r2%\r\ndone\n"), "1%\n2%\ndone\n");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in "[\u{0}-\u{ff}\u{1b}\\[m;0-9]*") {
            prop_assert!(!harmless(&text).contains(is_harmful));
            prop_assert!(!harmless_output(&text).contains(is_harmful));
            let shown = harmless_but_colours(&text).into_owned();
            for (place, _) in shown.match_indices(is_harmful) {
                prop_assert!(colour(&shown[place..]).is_some(), "{:?}", shown);
            }
        }
    }
}
