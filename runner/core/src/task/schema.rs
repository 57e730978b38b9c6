//! The JSON Schema of the task file, with the schemas of the backends in it.

use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{Schema, schema_for};
use serde_json::{Map, Value, json};

use super::file::TaskFile;
use crate::backend::Manifest;
use crate::diagnostic::pointer_token;
use crate::ray;

/// The JSON Schema (draft 2020-12) of the task file.
///
/// The schema of each backend is in `$defs` under `env.` and its name, with its references made to fit; a spec is
/// held against it, or, where the backend has a short form, a list against the member that the list stands for.
#[must_use]
pub fn schema(backends: &[Manifest]) -> Value {
    let mut root = schema_for!(TaskFile).to_value();
    let mut environments = Map::new();
    let mut definitions = Map::new();
    for backend in backends {
        let name = format!("env.{}", backend.id);
        let place = format!("#/$defs/{}", pointer_token(&name));
        environments.insert(backend.id.clone(), environment(backend, &place));
        definitions.insert(name, definition(backend, &place));
    }
    environments.insert(
        ray::KEY.to_owned(),
        json!({
            "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/RuntimeEnv" }],
            "description": "A Ray `runtime_env`, or the path of a JSON or YAML file that holds one",
        }),
    );
    definitions.insert("RuntimeEnv".to_owned(), ray::schema());
    if let Some(Value::Object(all)) = root.get_mut("$defs") {
        all.remove("SpecFile");
        all.extend(definitions);
    }
    if let Some(Value::Object(env)) = root.pointer_mut("/properties/env") {
        env.insert("properties".to_owned(), Value::Object(environments));
        env.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    transformed(root, &mut without_null)
}

/// What may stand under the backend's name.
fn environment(backend: &Manifest, place: &str) -> Value {
    let Some(member) = &backend.short_form else {
        return json!({ "$ref": place, "description": backend.summary });
    };
    let short = match backend
        .schema
        .pointer("/properties")
        .and_then(|properties| properties.get(member))
    {
        Some(_) => {
            json!({ "type": "array", "$ref": format!("{place}/properties/{}", pointer_token(member)) })
        }
        None => json!({ "type": "array" }),
    };
    json!({ "description": backend.summary, "anyOf": [{ "$ref": place }, short] })
}

/// The backend's own schema, with references that hold where it is put.
fn definition(backend: &Manifest, place: &str) -> Value {
    let mut own = match &*backend.schema {
        schema @ Value::Object(_) => schema.clone(),
        _ => json!({ "type": "object" }),
    };
    if let Value::Object(members) = &mut own {
        // They would make the schema a document of its own, in which the references would lead somewhere else.
        members.remove("$schema");
        members.remove("$id");
        members.entry("type").or_insert_with(|| "object".into());
    }
    transformed(own, &mut |schema: &mut Schema| {
        if let Some(Value::String(reference)) = schema.get_mut("$ref") {
            let inner = reference
                .strip_prefix('#')
                .filter(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(inner) = inner {
                *reference = format!("{place}{inner}");
            }
        }
    })
}

fn transformed(schema: Value, change: &mut impl FnMut(&mut Schema)) -> Value {
    let Ok(mut schema) = Schema::try_from(schema) else {
        return Value::Bool(true);
    };
    RecursiveTransform(change).transform(&mut schema);
    schema.to_value()
}

/// Takes out what TOML does not have: null. And the widths of integers, which no reader of the schema knows.
fn without_null(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = members.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            for (key, value) in only {
                members.entry(key).or_insert(value);
            }
        }
    }
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    if members
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.contains("int"))
    {
        members.remove("format");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend() -> Manifest {
        Manifest {
            id: "uv".to_owned(),
            summary: "Python packages.".to_owned(),
            canonical_revision: 1,
            plan_revision: 1,
            schema: json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "packages": { "type": ["array", "null"], "items": { "$ref": "#/$defs/Package" } },
                    "again": { "$ref": "#" },
                    "$ref": { "const": { "$ref": "#/$defs/Package" } },
                },
                "$defs": { "Package": { "type": "string", "minLength": 1 } },
            })
            .into(),
            short_form: Some("packages".to_owned()),
            in_images: false,
        }
    }

    #[test]
    fn references_of_a_backend_hold_where_it_is_put() {
        let schema = schema(&[backend()]);
        let own = &schema["$defs"]["env.uv"];
        assert_eq!(
            own["properties"]["packages"]["items"]["$ref"],
            "#/$defs/env.uv/$defs/Package"
        );
        assert_eq!(own["properties"]["again"]["$ref"], "#/$defs/env.uv");
        assert_eq!(own["properties"]["$ref"]["const"]["$ref"], "#/$defs/Package");
        let validator = jsonschema::draft202012::options().build(&schema).unwrap();
        let with = |env: Value| json!({ "run": { "command": ["true"] }, "env": env });
        assert!(validator.is_valid(&with(json!({ "uv": ["emoji"] }))));
        assert!(validator.is_valid(&with(json!({ "uv": { "again": { "packages": ["emoji"] } } }))));
        for bad in [
            json!({ "uv": [""] }),
            json!({ "uv": { "again": { "packages": [""] } } }),
            json!({ "pip": [] }),
        ] {
            assert!(!validator.is_valid(&with(bad.clone())), "{bad}");
        }
    }

    #[test]
    fn the_schema_is_a_schema_and_knows_no_null() {
        let schema = schema(&[backend()]);
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(!validator.is_valid(&json!({})), "nothing says what to run");
        let text = schema.to_string();
        assert!(!text.contains("null"), "{text}");
        assert!(!text.contains("uint"), "{text}");
    }
}
