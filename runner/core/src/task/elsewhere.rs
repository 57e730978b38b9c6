//! Keys that are known in another table than the one they stand in.

use serde_json::Value;

use super::pointer::Pointer;
use crate::ray;

/// The tables in which a key that is not known where it stands would be: the document itself and its tables, and the specs of
/// backends. `schema` is that of the whole document.
pub(super) fn tables_of(schema: &Value, key: &str, found: &Pointer) -> Vec<Pointer> {
    let top = members(schema, schema);
    let mut tables = Vec::new();
    if has(schema, schema, key) {
        tables.push(Pointer::default());
    }
    for (table, inner) in top {
        if has(schema, inner, key) {
            tables.push(Pointer::of([table]));
        }
        if table == "env" {
            let backends = members(schema, inner).filter(|(backend, _)| *backend != ray::KEY);
            let specs = backends.filter(|(_, spec)| has(schema, spec, key));
            tables.extend(specs.map(|(backend, _)| Pointer::of([table, backend])));
        }
    }
    tables.retain(|table| table != found);
    tables
}

/// Whether what a schema describes has that key.
fn has(root: &Value, schema: &Value, key: &str) -> bool {
    members(root, schema).any(|(name, _)| name == key)
}

/// The keys of what a schema describes, with their schemas; of the first form that has keys, where there are several.
fn members<'s>(root: &'s Value, schema: &'s Value) -> Box<dyn Iterator<Item = (&'s str, &'s Value)> + 's> {
    if let Some(Value::Object(members)) = schema.get("properties") {
        return Box::new(members.iter().map(|(name, schema)| (name.as_str(), schema)));
    }
    let reference = schema.get("$ref").and_then(Value::as_str);
    if let Some(place) = reference.and_then(|reference| reference.strip_prefix('#'))
        && let Some(meant) = root.pointer(place)
    {
        return members(root, meant);
    }
    let forms = schema.get("anyOf").and_then(Value::as_array);
    Box::new(forms.into_iter().flatten().flat_map(|form| members(root, form)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::schema;
    use super::*;

    fn tables(key: &str, found: &[&str]) -> Vec<String> {
        let found = Pointer::of(found.iter().copied());
        tables_of(&schema(&[]), key, &found)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_key_has_its_tables() {
        assert_eq!(tables("command", &[]), ["run"]);
        assert_eq!(tables("memory", &["run"]), ["limits"]);
        assert_eq!(tables("name", &["run"]), [""]);
        assert_eq!(tables("read", &["limits"]), ["allow"]);
        assert!(tables("command", &["run"]).is_empty());
        assert!(tables("nothing-of-the-kind", &[]).is_empty());
    }

    #[test]
    fn references_and_forms_are_looked_into() {
        let schema = json!({
            "properties": { "env": { "properties": { "some": { "anyOf": [{ "$ref": "#/$defs/Some" }, { "type": "array" }] } } } },
            "$defs": { "Some": { "properties": { "packages": {} } } },
        });
        let found = tables_of(&schema, "packages", &Pointer::of(["env"]));
        assert_eq!(found, [Pointer::of(["env", "some"])]);
    }
}
