//! Whatever the text, there is a task or there are errors with places.

use proptest::prelude::*;
use wrun_core::task::{TaskErrors, schema};

use crate::support::{FULL, backends, parse_with_backends};

fn places_are_in_the_text(text: &str, errors: &TaskErrors) -> Result<(), TestCaseError> {
    prop_assert!(!errors.errors().is_empty());
    for error in errors.errors() {
        prop_assert!(error.line >= 1 && error.column >= 1);
        prop_assert!(error.line <= text.bytes().filter(|byte| *byte == b'\n').count() + 1);
        prop_assert!(!error.message.is_empty() && !error.code.is_empty());
        prop_assert!(text.get(error.span.clone()).is_some(), "{:?}", error.span);
    }
    let mut out = String::new();
    prop_assert!(
        miette::NarratableReportHandler::new()
            .render_report(&mut out, errors)
            .is_ok()
    );
    Ok(())
}

/// A change to a text: what is cut out, as parts of its length, and what is put there.
fn change() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let piece = prop_oneof![
        Just(String::new()),
        "\\PC{0,3}",
        prop::sample::select(vec![
            "=",
            "[",
            "]",
            "{",
            "}",
            "\"",
            "\n",
            ".",
            ",",
            "[[",
            "5",
            "true",
            "nan",
            "2024-01-01",
            "[run]\n",
            "\"\\u0000\"",
            "é",
            "env",
            "[]",
            "{}",
            "\r\n",
            "'''",
            "#"
        ])
        .prop_map(str::to_owned),
    ];
    (any::<prop::sample::Index>(), 0_usize..24, piece)
}

fn changed(text: &str, changes: &[(prop::sample::Index, usize, String)]) -> String {
    let mut text = text.to_owned();
    for (place, length, piece) in changes {
        let start = text.floor_char_boundary(place.index(text.len() + 1));
        let end = text.ceil_char_boundary((start + length).min(text.len()));
        text.replace_range(start..end, piece);
    }
    text
}

/// The file with one value put in the place of another.
fn with_other_value() -> impl Strategy<Value = String> {
    let lines: Vec<usize> = FULL
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(" = "))
        .map(|(index, _)| index)
        .collect();
    let values = [
        "5",
        "-1",
        "0",
        "1.5",
        "nan",
        "true",
        "''",
        "'x'",
        "[]",
        "['']",
        "[5]",
        "[[]]",
        "{}",
        "{ a = 1 }",
        "{ from = 5 }",
        "2024-01-01",
        "[{}]",
        "'0s'",
        "99999999999999999999",
    ];
    let replacement = (prop::sample::select(lines), prop::sample::select(values.to_vec()));
    prop::collection::vec(replacement, 1..4).prop_map(|replacements| {
        let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
        for (line, value) in replacements {
            let (key, _) = lines[line].split_once(" = ").unwrap();
            lines[line] = format!("{key} = {value}");
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_task_or_has_errors(text in any::<String>()) {
        if let Err(errors) = parse_with_backends(&text) {
            places_are_in_the_text(&text, &errors)?;
        }
    }

    #[test]
    fn any_text_of_the_right_letters_is_a_task_or_has_errors(text in "([a-c\\[\\]{}=.,\"'\n #-]|run|env|uv|[0-9]){0,40}") {
        if let Err(errors) = parse_with_backends(&text) {
            places_are_in_the_text(&text, &errors)?;
        }
    }

    #[test]
    fn a_damaged_file_is_a_task_or_has_errors(changes in prop::collection::vec(change(), 1..6)) {
        let text = changed(FULL, &changes);
        if let Err(errors) = parse_with_backends(&text) {
            places_are_in_the_text(&text, &errors)?;
        }
    }

    #[test]
    fn a_file_with_other_values_is_a_task_or_has_errors_that_say_why(text in with_other_value()) {
        let validator = jsonschema::draft202012::options().build(&schema(&[])).unwrap();
        if let Err(errors) = parse_with_backends(&text) {
            places_are_in_the_text(&text, &errors)?;
            // `task.invalid` is the code of a mistake that nothing could explain.
            prop_assert!(errors.errors().iter().all(|error| error.code != "task.invalid"), "{errors}\n{text}");
        } else {
            let mut json = serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap();
            json.as_object_mut().unwrap().remove("env");
            prop_assert!(validator.is_valid(&json), "{text}");
        }
    }
}

#[test]
fn the_schema_is_the_same_each_time() {
    assert_eq!(schema(&backends()), schema(&backends()));
}
