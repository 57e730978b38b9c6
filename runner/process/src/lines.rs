//! Output as lines.

/// The longest line that is kept together, in bytes.
const LONGEST: usize = 64 * 1024;

/// Cuts bytes into lines. A carriage return ends one too, as progress bars write them.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes bytes, and gives each line that they complete. Empty ones are left out.
    pub(crate) fn push(&mut self, bytes: &[u8], mut on_line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = piece.strip_suffix(b"\n").or_else(|| piece.strip_suffix(b"\r"));
            self.rest.extend_from_slice(line.unwrap_or(piece));
            if line.is_some() || self.rest.len() >= LONGEST {
                self.finish(&mut on_line);
            }
        }
    }

    /// Gives what has no end of line.
    pub(crate) fn finish(&mut self, mut on_line: impl FnMut(&str)) {
        if !self.rest.is_empty() {
            on_line(&String::from_utf8_lossy(&self.rest));
            self.rest.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_depend_on_how_they_come() {
        let text = "one\r\ntwo\n\n10%\r20%\rthree é\nrest".as_bytes();
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for chunk in text.chunks(size) {
                lines.push(chunk, |line| got.push(line.to_owned()));
            }
            lines.finish(|line| got.push(line.to_owned()));
            assert_eq!(got, ["one", "two", "10%", "20%", "three é", "rest"], "{size}");
        }
    }

    #[test]
    fn a_line_without_end_does_not_grow_without_end() {
        let mut lines = Lines::default();
        let mut longest = 0;
        for _ in 0..100 {
            lines.push(&[b'x'; 10_000], |line| longest = longest.max(line.len()));
        }
        assert!((LONGEST..LONGEST + 10_000).contains(&longest));
    }
}
