//! Locks that people keep beside their task files.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wrun_core::id::SpecId;
use wrun_core::lock::Lock;

/// A lock with the request that it was made for, as `wrun plan TASK --lock FILE` writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockFile {
    /// The id of the request.
    pub spec_id: SpecId,
    /// The canonical request, to say what is different in another one.
    pub spec: Value,
    /// The same of the container image that it is for, if it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Box<Self>>,
    /// The lock.
    #[serde(flatten)]
    pub lock: Lock,
}

impl LockFile {
    /// What is different in another request, in words.
    pub(crate) fn differences(&self, other: &Value) -> String {
        let mut names = BTreeSet::new();
        for key in keys(&self.spec, other) {
            match (key, self.spec.get(key), other.get(key)) {
                (_, one, two) if one == two => {}
                ("form", Some(one), Some(two)) => names.extend(
                    keys(one, two)
                        .into_iter()
                        .filter(|key| one.get(key) != two.get(key)),
                ),
                (key, ..) => {
                    names.insert(key);
                }
            }
        }
        if names.is_empty() {
            return "it does not have the id that it should have".to_owned();
        }
        let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        format!("another {}", names.join(", "))
    }
}

/// The members of both.
fn keys<'a>(one: &'a Value, two: &'a Value) -> BTreeSet<&'a str> {
    [one, two]
        .into_iter()
        .filter_map(Value::as_object)
        .flat_map(|members| members.keys().map(String::as_str))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wrun_core::canon::Canon;

    use super::*;

    #[test]
    fn what_is_different_is_named() {
        let file = LockFile {
            spec_id: SpecId::of(&Canon::text("x")),
            spec: json!({"backend": "uv", "form": {"python": "3.11", "requirements": ["a"]}, "platform": {}}),
            image: None,
            lock: Lock {
                backend: "uv".to_owned(),
                revision: 1,
                content: Value::Null,
                packages: Vec::new(),
            },
        };
        let other = json!({"backend": "uv", "form": {"requirements": ["b"]}, "platform": {}});
        assert_eq!(file.differences(&other), "another `python`, `requirements`");
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<LockFile>(&text).unwrap(), file);
    }
}
