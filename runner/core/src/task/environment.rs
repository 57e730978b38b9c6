//! What the tables under `[env]` ask for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::check::Checks;
use super::file::SpecFile;
use super::issue::{Issue, unknown_backend};
use super::model::EnvRequest;
use super::pointer::Pointer;
use crate::backend::Manifest;
use crate::image::BACKEND;
use crate::ray;

impl Checks<'_> {
    /// The one environment of a task, or a container image with one that is built inside of it.
    pub(super) fn env(
        &mut self,
        env: &BTreeMap<String, SpecFile>,
        backends: &[Manifest],
    ) -> Option<EnvRequest> {
        let at = Pointer::of(["env"]);
        let mut requests: Vec<EnvRequest> = env
            .iter()
            .filter(|(name, _)| *name != ray::KEY)
            .filter_map(|(name, spec)| self.environment(name, spec, at.join(name), backends))
            .collect();
        let in_images = |name: &str| {
            let backend = backends.iter().find(|backend| backend.id == name);
            backend.is_some_and(|backend| backend.in_images)
        };
        let (images, others): (Vec<&String>, Vec<&String>) = env
            .keys()
            .filter(|name| *name == ray::KEY || backends.iter().any(|backend| backend.id == **name))
            .partition(|name| *name == BACKEND);
        let Some((first, rest)) = others.split_first() else {
            return requests.pop();
        };
        if !images.is_empty() && !in_images(first) {
            let message = format!("`env.{first}` does not go together with `env.{BACKEND}`");
            let issue = Issue::error("task.env.image", at.join(first), message, "not in an image");
            let able: Vec<String> = backends
                .iter()
                .filter(|backend| backend.in_images)
                .map(|backend| format!("`env.{}`", backend.id))
                .collect();
            self.issues.push(issue.at_key().with_help(format!(
                "inside of an image these can be built: {}; or remove one of the two",
                able.join(", ")
            )));
        }
        for other in rest {
            let message = format!("`env.{other}` does not go together with `env.{first}`");
            let issue = Issue::error("task.env.several", at.join(other), message, "another environment");
            self.issues.push(issue.at_key().with_help(
                "a task has one environment, and a container image beside it: remove one of the two",
            ));
        }
        let image = requests
            .iter()
            .position(|request| request.backend == BACKEND)
            .map(|index| requests.swap_remove(index).spec);
        let request = requests.into_iter().next()?;
        Some(EnvRequest { image, ..request })
    }

    fn environment(
        &mut self,
        name: &str,
        spec: &SpecFile,
        at: Pointer,
        backends: &[Manifest],
    ) -> Option<EnvRequest> {
        let Some(backend) = backends.iter().find(|backend| backend.id == name) else {
            return self.report(unknown_backend(
                name,
                at,
                backends.iter().map(|backend| backend.id.as_str()),
            ));
        };
        let spec = match (spec, &backend.short_form) {
            (SpecFile::Table(members), _) => members.clone(),
            (SpecFile::Short(items), Some(member)) => {
                Map::from_iter([(member.clone(), Value::Array(items.clone()))])
            }
            (SpecFile::File(_), _) => {
                let message = format!("`{at}` must be a table, not a string");
                return self.report(Issue::error("task.type", at, message, "a string"));
            }
            (SpecFile::Short(_), None) => {
                let message = format!("`{at}` must be a table, and is a list: `{name}` has no short form");
                let issue = Issue::error("task.type", at, message, "a list");
                return self.report(issue.with_help(format!("write an `[env.{name}]` table")));
            }
        };
        Some(EnvRequest::new(name, Value::Object(spec)))
    }
}
