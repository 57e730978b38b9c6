//! conda environments without conda, from channels that the tests make.
#![expect(
    clippy::indexing_slicing,
    reason = "an index that is not there is a failure of the test"
)]

mod activation;
mod bounds;
mod damage;
mod faults;
mod killed;
mod kinds;
mod overlap;
mod python;
mod runs;
mod together;
mod unsatisfiable;

use serde_json::{Value, json};

/// A task file that runs a command in an environment of this spec.
#[expect(
    clippy::needless_pass_by_value,
    reason = "every caller writes the spec down right there"
)]
fn task(command: &[&str], conda: Value) -> String {
    let spec = toml_of(&conda);
    let command = json!(command);
    format!("name = \"t\"\n[run]\ncommand = {command}\n[env]\nconda = {spec}\n")
}

/// A task file that runs the program of the first of some packages of one channel.
fn of_channel(url: &str, packages: &[&str]) -> String {
    let command = packages.get(..1).unwrap_or_default();
    task(command, json!({ "packages": packages, "channels": [url] }))
}

/// A task file that runs `thing` of a channel.
fn thing(url: &str) -> String {
    of_channel(url, &["thing"])
}

/// A value as an inline table of TOML.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, member)| format!("{} = {}", json!(key), toml_of(member)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_of).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
