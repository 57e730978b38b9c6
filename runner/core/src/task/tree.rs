//! The document as JSON, which is what backends and the JSON Schema speak of.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::issue::Issue;
use super::pointer::Pointer;

/// Tables and lists that may lie in one another. Everything after this works by recursion.
pub(super) const MAXIMUM_DEPTH: usize = 32;

/// The document as JSON. What has no JSON form, or no place in a task file, is left out and becomes an issue.
pub(super) fn to_json(document: &DeTable<'_>, issues: &mut Vec<Issue>) -> Value {
    table(document, &Pointer::default(), issues)
}

fn table(members: &DeTable<'_>, at: &Pointer, issues: &mut Vec<Issue>) -> Value {
    let mut object = Map::new();
    for (key, member) in members {
        let key = key.get_ref().as_ref();
        let place = at.join(key);
        if key.contains('\0') {
            issues.push(nul(place).at_key());
        } else if let Some(converted) = value(member.get_ref(), &place, issues) {
            object.insert(key.to_owned(), converted);
        }
    }
    Value::Object(object)
}

fn value(found: &DeValue<'_>, at: &Pointer, issues: &mut Vec<Issue>) -> Option<Value> {
    if at.segments().len() > MAXIMUM_DEPTH {
        let message = format!("tables and lists lie in one another more than {MAXIMUM_DEPTH} deep");
        issues.push(Issue::error("task.depth", at.clone(), message, "too deep"));
        return None;
    }
    let converted = match found {
        DeValue::String(text) if text.contains('\0') => Err(nul(at.clone())),
        DeValue::String(text) => Ok(Value::from(text.as_ref())),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::from)
            .map_err(|_| {
                number(
                    at,
                    &integer.to_string(),
                    "is outside of the whole numbers of 64 bits",
                )
            }),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| number(at, float.as_str(), "is not a finite number")),
        DeValue::Boolean(flag) => Ok(Value::from(*flag)),
        DeValue::Datetime(moment) => {
            let message = format!("`{at}` is a date, and no key here takes one");
            Err(Issue::error("task.type", at.clone(), message, "a date")
                .with_help(format!("to give text, put it in quotes: `\"{moment}\"`")))
        }
        DeValue::Array(items) => Ok(items
            .iter()
            .enumerate()
            // An empty text in the place of a bad item keeps the indexes of the others.
            .map(|(index, item)| value(item.get_ref(), &at.item(index), issues).unwrap_or_else(|| "".into()))
            .collect()),
        DeValue::Table(members) => Ok(table(members, at, issues)),
    };
    converted.map_err(|issue| issues.push(issue)).ok()
}

fn number(at: &Pointer, text: &str, why: &str) -> Issue {
    Issue::error(
        "task.number",
        at.clone(),
        format!("`{at}`: `{text}` {why}"),
        "not a number that can be used",
    )
}

fn nul(at: Pointer) -> Issue {
    let message = format!("`{at}` contains a NUL character, which no path, variable or argument can hold");
    Issue::error("task.text.nul", at, message, "contains `\\u0000`").with_help("remove the character")
}
