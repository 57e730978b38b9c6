//! Files with holes, in the forms of GNU tar ("Storing Sparse Files").

/// The parts of a file that are not holes, in the order in which their bytes are in the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Map(Vec<(u64, u64)>);

impl Map {
    pub(crate) fn push(&mut self, offset: u64, length: u64) {
        self.0.push((offset, length));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Version 0.1: `offset,length,offset,length`.
    pub(crate) fn of_text(text: &[u8]) -> Option<Self> {
        let numbers = text
            .split(|byte| *byte == b',')
            .map(decimal)
            .collect::<Option<Vec<_>>>()?;
        let mut map = Self::default();
        for pair in numbers.chunks(2) {
            let [offset, length] = *pair else { return None };
            map.push(offset, length);
        }
        Some(map)
    }

    /// The parts, if they follow one another within `size` and their bytes are `stored` in all.
    pub(crate) fn checked(&self, size: u64, stored: u64) -> Option<&[(u64, u64)]> {
        let mut end = 0_u64;
        let mut sum = 0_u64;
        for (offset, length) in &self.0 {
            if *offset < end {
                return None;
            }
            end = offset.checked_add(*length)?;
            sum = sum.checked_add(*length)?;
        }
        (end <= size && sum == stored).then_some(&self.0)
    }
}

/// A number in decimal digits and nothing else.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_one_another_within_the_file() {
        let map = Map::of_text(b"0,5,10,5,20,0").unwrap();
        assert!(map.checked(20, 10).is_some());
        assert!(map.checked(19, 10).is_none(), "beyond the end");
        assert!(map.checked(20, 11).is_none(), "bytes that nobody has");
        assert!(
            Map::of_text(b"0,5,4,1").unwrap().checked(20, 6).is_none(),
            "one in another"
        );
        assert!(Map::of_text(b"0,5,4").is_none());
        assert!(
            Map::of_text(b"18446744073709551615,2")
                .unwrap()
                .checked(u64::MAX, 2)
                .is_none()
        );
    }
}
