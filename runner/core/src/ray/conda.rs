//! `conda`.

use serde_json::{Map, Value, json};

use super::{Reader, append};
use crate::task::EnvRequest;

impl Reader {
    /// The name or folder of an environment that is there, the path of an environment file, or what is in one.
    pub(super) fn conda(&mut self, value: &Value) -> Option<EnvRequest> {
        let spec = match value {
            Value::String(text) => {
                let is_file = [".yml", ".yaml"].iter().any(|ending| text.ends_with(ending));
                if is_file {
                    json!({ "file": self.path_in_folder(text) })
                } else {
                    json!({ "existing": text })
                }
            }
            Value::Object(members) => Value::Object(self.conda_file(members)),
            _ => {
                self.wrong_type("/conda", "`conda`", "a name, a path, or a table");
                return None;
            }
        };
        Some(EnvRequest::new("conda", spec))
    }

    fn conda_file(&mut self, members: &Map<String, Value>) -> Map<String, Value> {
        let mut spec = Map::from_iter([("packages".to_owned(), json!([]))]);
        for (key, value) in members {
            let at = format!("/conda/{key}");
            match key.as_str() {
                // The environment's name and place are wrun's.
                "name" | "prefix" => {}
                "channels" => {
                    let channels = self.texts(value, &at, "`channels`");
                    append(
                        &mut spec,
                        "channels",
                        channels.into_iter().map(|(_, channel)| channel.into()),
                    );
                }
                "dependencies" => self.conda_packages(&mut spec, value, &at),
                "variables" => self.variables(value, &at),
                _ => self.error(
                    "ray.key.unknown",
                    at,
                    format!("`conda` has no `{key}`"),
                    "known are channels, dependencies, name, prefix, variables",
                ),
            }
        }
        spec
    }

    fn conda_packages(&mut self, spec: &mut Map<String, Value>, value: &Value, at: &str) {
        let Some(items) = value.as_array() else {
            self.wrong_type(at, "`dependencies`", "a list");
            return;
        };
        for (index, item) in items.iter().enumerate() {
            let place = format!("{at}/{index}");
            match item {
                Value::String(package) => append(spec, "packages", [Value::from(package.as_str())]),
                Value::Object(members) => match (members.get("pip"), members.len()) {
                    (Some(pip), 1) => {
                        let lines = self.texts(pip, &format!("{place}/pip"), "`pip`");
                        append(spec, "pip", lines.into_iter().map(|(_, line)| line.into()));
                    }
                    _ => self.wrong_type(place, "a table among `dependencies`", "one with `pip` alone"),
                },
                _ => self.wrong_type(
                    place,
                    "an item of `dependencies`",
                    "a string, or a table with `pip`",
                ),
            }
        }
    }
}
