//! Words that messages are made of.

use serde_json::Value;

/// A value as it is written in a task file; nothing for a value that takes more than a line.
pub(super) fn literal(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(literal).collect::<Option<Vec<_>>>()?.join(", ")
            )
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let mut entries = members
                .iter()
                .map(|(key, value)| Some(format!("{key} = {}", literal(value)?)))
                .collect::<Option<Vec<_>>>()?;
            entries.sort();
            format!("{{ {} }}", entries.join(", "))
        }
    })
}

/// Names in back ticks: `` `a`, `b` and `c` ``.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>, conjunction: &str) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}
