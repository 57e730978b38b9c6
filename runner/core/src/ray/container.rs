//! `container` and `image_uri`.

use serde_json::{Value, json};

use super::Reader;
use crate::image::BACKEND;
use crate::task::EnvRequest;

impl Reader {
    /// An image with how it is run.
    pub(super) fn container(&mut self, value: &Value) -> Option<EnvRequest> {
        let Some(members) = value.as_object() else {
            self.wrong_type("/container", "`container`", "a table");
            return None;
        };
        for key in members.keys() {
            let at = format!("/container/{key}");
            match key.as_str() {
                "image" => {}
                "run_options"
                    if members
                        .get(key)
                        .and_then(Value::as_array)
                        .is_some_and(Vec::is_empty) => {}
                "run_options" => self.error(
                    "ray.refused",
                    at,
                    "`run_options` are those of podman, which wrun does not use",
                    "leave them out, and say in `[allow]` and `[limits]` what the task may do",
                ),
                "worker_path" => self.no_effect(at, "`worker_path` has no effect: there are no workers"),
                _ => self.error(
                    "ray.key.unknown",
                    at,
                    format!("`container` has no `{key}`"),
                    "known are image, run_options",
                ),
            }
        }
        let Some(image) = members.get("image") else {
            self.error(
                "ray.key.missing",
                "/container",
                "`container` names no image",
                "add `image`",
            );
            return None;
        };
        self.image(image, "/container/image")
    }

    pub(super) fn image(&mut self, value: &Value, at: &str) -> Option<EnvRequest> {
        let Some(image) = value.as_str() else {
            self.wrong_type(at, "an image", "a string");
            return None;
        };
        Some(EnvRequest::new(BACKEND, json!({ "image": image })))
    }
}
