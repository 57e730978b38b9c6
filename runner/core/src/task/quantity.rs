//! Durations and sizes as they are written in a task file.

use std::time::Duration;

use bytesize::ByteSize;

use super::words::listed;

/// A duration: `30s`, `1h 30m`, `500ms`.
///
/// # Errors
/// What is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    known_units(text, &["ms", "s", "m", "h", "d"], "a duration")?;
    humantime::parse_duration(text).map_err(|error| format!("`{text}` is not a duration: {error}"))
}

/// Sees to it that the units are those of the reference page: a month has no one length, and `Mb` are bits.
fn known_units(text: &str, known: &[&str], what: &str) -> Result<(), String> {
    let words = text
        .split(|letter: char| !letter.is_alphabetic())
        .filter(|word| !word.is_empty());
    for word in words {
        if !known.contains(&word) {
            let known = listed(known.iter().copied(), "or");
            return Err(format!(
                "`{text}` is not {what}: the unit `{word}` is not one of {known}"
            ));
        }
    }
    Ok(())
}

/// A size in bytes: `512MiB`, `1.5GB`, `4096`.
///
/// # Errors
/// What is wrong with it.
pub fn size(text: &str) -> Result<u64, String> {
    known_units(
        text,
        &["B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"],
        "a size",
    )?;
    match text.trim().parse::<ByteSize>() {
        // The parser stops at the largest number where the product does not fit.
        Ok(ByteSize(u64::MAX)) => Err(format!("`{text}` is more than 64 bits of bytes")),
        Ok(ByteSize(bytes)) => Ok(bytes),
        Err(_) => Err(format!("`{text}` is not a size")),
    }
}

/// The units of sizes, largest first.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
];

/// A size as somebody would write it: exactly, in the largest unit of which it is a whole number.
#[must_use]
pub fn written_size(bytes: u64) -> String {
    UNITS
        .iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(
            || format!("{bytes} B"),
            |(name, unit)| format!("{} {name}", bytes / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("1 GB"), Ok(1_000_000_000));
        assert_eq!(size("1.5KiB"), Ok(1536));
        assert_eq!(size("4096"), Ok(4096));
        for bad in [
            "",
            "GiB",
            "-1GiB",
            "1 GiX",
            "99999999999TiB",
            "1e400",
            "é",
            "1Mb",
            "1EiB",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_size_is_told_in_its_own_units() {
        for text in [
            "100 MB", "64 MiB", "1500 MB", "1 GiB", "1 TB", "999 B", "0 B", "1001 B",
        ] {
            assert_eq!(written_size(size(text).unwrap()), text);
        }
        assert_eq!(written_size(1 << 41), "2 TiB");
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for bad in [
            "",
            "30",
            "-1s",
            "1 fortnight",
            "1month",
            "1us",
            "99999999999999999999s",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
