//! Cut-off dates: nothing that was uploaded later is looked at.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

/// The instant that a date-time (RFC 3339) or a date means, in UTC with whole seconds: `2024-01-02T00:00:00Z`.
///
/// A date is the end of that day in UTC, so that what was uploaded on the day itself counts, on every machine alike.
///
/// # Errors
/// It is neither, in words.
pub fn cut_off(text: &str) -> Result<String, String> {
    let wrong = |why: String| format!("`{text}` is neither a date nor a date-time (RFC 3339): {why}");
    let instant = if text.len() <= "2024-01-01".len() {
        let date: Date = text
            .parse()
            .map_err(|error: jiff::Error| wrong(error.to_string()))?;
        let next = date
            .checked_add(1.day())
            .map_err(|error| wrong(error.to_string()))?;
        next.to_zoned(TimeZone::UTC)
            .map_err(|error| wrong(error.to_string()))?
            .timestamp()
    } else {
        text.parse::<Timestamp>()
            .map_err(|error| wrong(error.to_string()))?
    };
    let seconds = Timestamp::from_second(instant.as_second()).map_err(|error| wrong(error.to_string()))?;
    Ok(seconds.to_string())
}

/// What to do about a wrong one.
pub const HELP: &str =
    "write a date such as `2024-01-31`, or a date-time with its zone such as `2024-01-31T12:00:00Z`";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_date_is_its_end_and_zones_are_taken_out() {
        assert_eq!(cut_off("2024-01-31").as_deref(), Ok("2024-02-01T00:00:00Z"));
        assert_eq!(
            cut_off("2024-01-31T02:00:00+02:00").as_deref(),
            Ok("2024-01-31T00:00:00Z")
        );
        assert_eq!(
            cut_off("2024-01-31T00:00:00.5Z").as_deref(),
            Ok("2024-01-31T00:00:00Z")
        );
    }

    #[test]
    fn other_text_is_refused() {
        for bad in ["", "yesterday", "2024-13-01", "2024-01-31T00:00:00", "9999-12-31"] {
            assert!(cut_off(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = cut_off(&text);
        }
    }
}
