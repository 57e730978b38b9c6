//! The JSON Schema of a `runtime_env` in a task file.

use serde_json::{Value, json};

/// What may stand under `env.runtime_env`: the path of a file, or the fields.
///
/// Keys that are not listed are left to the translation, which has a reason for each.
pub(crate) fn schema() -> Value {
    let python = |tool: &str, options: &str, packages: Value| {
        json!({ "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            { "type": "string" },
            {
                "type": "object",
                "required": ["packages"],
                "properties": {
                    "packages": packages,
                    (options): { "type": "array", "items": { "type": "string" }, "description": format!(
                        "Options of `{tool}`: those for indexes, constraints, wheels, hashes and dates."
                    ) },
                },
            },
        ] })
    };
    let with = |description: &str, mut schema: Value| {
        if let Some(members) = schema.as_object_mut() {
            members.insert("description".to_owned(), description.into());
        }
        schema
    };
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let list_or_path = json!({ "anyOf": [texts, { "type": "string" }] });
    json!({
        "type": "object",
        "description": "A Ray `runtime_env`, turned into the rest of a task file: what has no counterpart is refused with \
                        the reason. Paths are relative to the task's file.",
        "properties": {
            "pip": with(
                "Packages, the path of a requirements file, or a table: `[env.pip]`.",
                python("pip install", "pip_install_options", list_or_path),
            ),
            "uv": with(
                "The same for uv: `[env.uv]`.",
                python("uv pip install", "uv_pip_install_options", texts.clone()),
            ),
            "conda": {
                "anyOf": [{ "type": "string" }, { "type": "object" }],
                "description": "The name or folder of an environment, the path of an environment file, or its content: \
                                `[env.conda]`.",
            },
            "container": {
                "type": "object",
                "required": ["image"],
                "properties": { "image": { "type": "string", "description": "The image's name." } },
                "description": "An image: `[env.container]`.",
            },
            "image_uri": { "type": "string", "description": "The same as a name alone." },
            "working_dir": {
                "type": "string",
                "description": "The task's folder: `run.dir`. Python looks there for modules first.",
            },
            "py_modules": with(
                "Folders and files of modules that the task can read and Python finds, and wheels, which are installed.",
                texts.clone(),
            ),
            "env_vars": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "description": "The task's variables: `[vars]`. `${NAME}` takes one of the caller's. What `[vars]` says comes \
                                first.",
            },
            "excludes": with("Nothing is uploaded, so that this has no effect.", texts),
            "config": {
                "type": "object",
                "description": "How Ray sets environments up, which has no effect.",
            },
        },
    })
}
