//! The page of events, made of their schema.

use std::fmt::Write as _;

use serde_json::{Map, Value};

const HEAD: &str = "# Events

With `--format json`, `wrun submit`, `run` and `exec` print one JSON object per line on standard output: what happens, as it
happens, and at the end the exact outcome. The task's own output is among it, as `output`. Every object has:

- `v`: the version of the schema, which is 1. A field is never removed or renamed without another version; new events and new
  fields can come at any time.
- `task`: the task's name.
- `event`: which of the events below it is.

Fields that are marked with a question mark may be absent or `null`. The JSON Schema is `wrun::core::event::schema()`.
";

/// The page.
#[must_use]
pub fn events_page(schema: &Value) -> String {
    let mut page = HEAD.to_owned();
    for event in list(schema, "oneOf") {
        let name = event.pointer("/properties/event/const").and_then(Value::as_str);
        let _ = write!(
            page,
            "\n## `{}`\n\n{}\n",
            name.unwrap_or_default(),
            one_line(event)
        );
        let mut fields = String::new();
        describe(schema, event, 0, &mut fields);
        if !fields.is_empty() {
            page.push('\n');
            page.push_str(&fields);
        }
    }
    page
}

fn list<'s>(schema: &'s Value, key: &str) -> &'s [Value] {
    schema
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn one_line(schema: &Value) -> String {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a reference leads to, or the schema itself.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let place = schema.get("$ref").and_then(Value::as_str);
    place
        .and_then(|place| root.pointer(place.trim_start_matches('#')))
        .unwrap_or(schema)
}

/// The fields of an object, with those of what is joined with it and, for each of its kinds, those of the kind.
fn describe(root: &Value, object: &Value, depth: usize, text: &mut String) {
    let joined = resolve(root, object);
    for part in [object, joined] {
        let required = list(part, "required");
        let nothing = Map::new();
        let fields = part
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&nothing);
        for (name, field) in fields.iter().filter(|(_, field)| field.get("const").is_none()) {
            let is_required = required.iter().any(|required| required == name);
            let mark = if is_required { "" } else { "?" };
            let indent = "  ".repeat(depth);
            let _ = writeln!(
                text,
                "{indent}- `{name}`{mark} ({}): {}",
                kind(root, field),
                one_line(field)
            );
            if depth < 2 {
                describe(root, inner(root, field), depth + 1, text);
            }
        }
        if std::ptr::eq(object, joined) {
            break;
        }
    }
    for variant in list(joined, "oneOf") {
        // The tag of a kind is the one field of it that can have one value alone.
        let tags = variant.get("properties").and_then(Value::as_object);
        let tag = tags.and_then(|tags| {
            tags.iter()
                .find_map(|(name, tag)| Some((name, tag.get("const")?)))
        });
        if let Some((name, Value::String(value))) = tag {
            let indent = "  ".repeat(depth);
            let _ = writeln!(text, "{indent}- `{name}` = `{value}`: {}", one_line(variant));
            describe(root, variant, depth + 1, text);
        }
    }
}

/// What a field holds, or holds some of.
fn inner<'s>(root: &'s Value, field: &'s Value) -> &'s Value {
    let field = resolve(root, field);
    let of = ["items", "additionalProperties"]
        .into_iter()
        .find_map(|key| field.get(key));
    let of = of.or_else(|| {
        list(field, "anyOf")
            .iter()
            .find(|one| one.get("type") != Some(&Value::from("null")))
    });
    resolve(root, of.unwrap_or(field))
}

fn kind(root: &Value, field: &Value) -> String {
    let resolved = resolve(root, field);
    let constants = |schema: &Value| -> Vec<String> {
        let one = |value: &Value| Some(format!("`{}`", value.as_str()?));
        let listed = list(schema, "enum").iter().filter_map(one);
        let kinds = list(schema, "oneOf");
        let single: Vec<_> = kinds.iter().filter_map(|kind| one(kind.get("const")?)).collect();
        let all = if single.len() == kinds.len() {
            single
        } else {
            Vec::new()
        };
        listed.chain(all).collect()
    };
    let values = constants(resolved);
    if !values.is_empty() {
        return values.join(", ");
    }
    let values = constants(inner(root, field));
    if !values.is_empty() {
        return format!("of {}", values.join(", "));
    }
    match resolved.get("type") {
        Some(Value::String(kind)) if kind == "array" => format!("list of {}s", kind_name(inner(root, field))),
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds
            .first()
            .and_then(Value::as_str)
            .unwrap_or("value")
            .to_owned(),
        _ => kind_name(inner(root, field)),
    }
}

fn kind_name(schema: &Value) -> String {
    schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("object")
        .to_owned()
}
