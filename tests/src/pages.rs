//! What an index says: a page for each project, and the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use crate::files::sha256;
use crate::server::Answer;

/// A file of the index.
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    /// What the index says of it without the file itself (PEP 658), if it does.
    pub(crate) metadata: Option<String>,
    /// What the index says that its SHA-256 is.
    pub(crate) digest: String,
}

/// The files of an index by project and name.
#[derive(Default)]
pub(crate) struct Projects(BTreeMap<String, BTreeMap<String, File>>);

impl Projects {
    /// Adds a file, in place of one of the same name.
    pub(crate) fn add(&mut self, project: String, name: String, file: File) {
        self.0.entry(project).or_default().insert(name, file);
    }

    /// What there is at a path.
    pub(crate) fn answer(&self, path: &str, json: bool) -> Answer {
        let found = match path.split('/').collect::<Vec<_>>().as_slice() {
            ["", "simple", project] | ["", "simple", project, ""] => self.page(project, json),
            ["", "files", name] => self.file(name),
            _ => None,
        };
        found.unwrap_or_else(|| Answer::new(404, "text/plain", "there is no such page"))
    }

    fn page(&self, project: &str, json: bool) -> Option<Answer> {
        let files = self.0.get(project)?;
        if json {
            let files: Vec<_> = files
                .iter()
                .map(|(name, file)| {
                    json!({
                        "filename": name,
                        "url": format!("/files/{name}"),
                        "hashes": { "sha256": file.digest },
                        "core-metadata": file.metadata.as_ref().map(|metadata| json!({ "sha256": sha256(metadata.as_bytes()) })),
                        "yanked": false,
                    })
                })
                .collect();
            let page =
                json!({ "meta": { "api-version": "1.1" }, "name": project, "files": files, "versions": [] });
            return Some(Answer::new(
                200,
                "application/vnd.pypi.simple.v1+json",
                page.to_string(),
            ));
        }
        let mut page = String::from("<!DOCTYPE html><html><body>\n");
        for (name, file) in files {
            let metadata = file.metadata.as_ref().map_or_else(String::new, |metadata| {
                format!(" data-core-metadata=\"sha256={}\"", sha256(metadata.as_bytes()))
            });
            writeln!(
                page,
                "<a href=\"/files/{name}#sha256={}\"{metadata}>{name}</a><br>",
                file.digest
            )
            .ok()?;
        }
        page.push_str("</body></html>\n");
        Some(Answer::new(200, "text/html", page))
    }

    fn file(&self, name: &str) -> Option<Answer> {
        let find = |name: &str| self.0.values().find_map(|files| files.get(name));
        let body = match name.strip_suffix(".metadata") {
            Some(name) => find(name)?.metadata.clone()?.into_bytes(),
            None => find(name)?.bytes.clone(),
        };
        Some(Answer::new(200, "application/octet-stream", body))
    }
}
