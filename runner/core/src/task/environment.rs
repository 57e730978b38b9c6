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
            .filter_map(|(name, spec)| self.environment(name, spec, at.join(name), backends))
            .collect();
        let known: Vec<&Manifest> = env
            .keys()
            .filter_map(|name| backends.iter().find(|backend| backend.id == *name))
            .collect();
        let (images, others): (Vec<&Manifest>, Vec<&Manifest>) =
            known.into_iter().partition(|backend| backend.id == BACKEND);
        let (first, rest) = match (others.split_first(), images.first()) {
            (Some((first, rest)), Some(image)) if !first.in_images => {
                let message = format!("`env.{}` does not go together with `env.{}`", first.id, image.id);
                let issue = Issue::error("task.env.image", at.join(&first.id), message, "not in an image");
                let able: Vec<String> = backends
                    .iter()
                    .filter(|backend| backend.in_images)
                    .map(|backend| format!("`env.{}`", backend.id))
                    .collect();
                self.issues.push(issue.at_key().with_help(format!(
                    "inside of an image these can be built: {}; or remove one of the two",
                    able.join(", ")
                )));
                (first, rest)
            }
            (Some((first, rest)), _) => (first, rest),
            (None, _) => return requests.pop(),
        };
        for other in rest {
            let message = format!("`env.{}` does not go together with `env.{}`", other.id, first.id);
            let issue = Issue::error(
                "task.env.several",
                at.join(&other.id),
                message,
                "another environment",
            );
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
            (SpecFile::Short(_), None) => {
                let message = format!("`{at}` must be a table, and is a list: `{name}` has no short form");
                let issue = Issue::error("task.type", at, message, "a list");
                return self.report(issue.with_help(format!("write an `[env.{name}]` table")));
            }
        };
        Some(EnvRequest::new(name, Value::Object(spec)))
    }
}
