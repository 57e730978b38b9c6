//! The canonical form, member by member: whoever changes one of these raises the canonical revision.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test says where it fails, and is given what it makes"
)]

use std::path::Path;

use async_trait::async_trait;
use serde_json::{Value, json};
use wrun_backend_container::Container;
use wrun_core::backend::{Backend as _, Input, InputRequest, Request, Slot};
use wrun_core::host::{Counts, Host};
use wrun_core::id::Digest;
use wrun_core::plan::InstallPlan;
use wrun_core::platform::Platform;
use wrun_core::problem::{Advice, Problem, StepFailure};
use wrun_core::question::{Answer, Question};
use wrun_core::tool::{ToolFound, ToolRequest};

/// A host that gives every file the digest of its path and does nothing else.
struct Reader(Platform);

#[async_trait]
impl Host for Reader {
    fn platform(&self) -> &Platform {
        &self.0
    }

    fn offline(&self) -> bool {
        true
    }

    async fn read(&self, request: &InputRequest) -> Result<Input, Problem> {
        Ok(Input::Digest(Digest::of(b"content")))
            .map_err(|()| Problem::failed("test.read", request.path.clone()))
    }

    async fn tree_digest(&self, _folder: &Path, _counts: Counts) -> Result<Digest, Problem> {
        Ok(Digest::of(b"content"))
    }

    async fn find_tool(&self, request: &ToolRequest, _found: &[ToolFound]) -> Result<ToolFound, Problem> {
        Err(Problem::failed("test.tool", request.id.clone()))
    }

    async fn ask(&self, _request: &Request, _questions: &[Question]) -> Result<Vec<Answer>, Problem> {
        Err(Problem::failed("test.ask", "nothing is asked for a key"))
    }

    async fn execute(
        &self,
        _request: &Request,
        _plan: &InstallPlan,
        _slot: &Slot,
        _explain: &(dyn for<'failure> Fn(&'failure StepFailure) -> Advice + Sync),
    ) -> Result<(), Problem> {
        Err(Problem::failed("test.execute", "nothing is done for a key"))
    }

    fn progress(&self, _label: &str) {}

    fn project(&self) -> Option<&Path> {
        Some(Path::new("/project"))
    }
}

fn assessed(spec: &Value) -> Result<Value, Problem> {
    let host = Reader(Platform {
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime
        .block_on(Container.assess(&host, spec))
        .map(|assessed| assessed.form.to_json())
}

fn form(spec: Value) -> Value {
    assessed(&spec).unwrap()
}

/// The codes and places of what is wrong with a spec.
fn wrong(spec: Value) -> Vec<(String, String)> {
    let Err(Problem::Invalid(findings)) = assessed(&spec) else {
        panic!("nothing is wrong with {spec}");
    };
    findings
        .into_iter()
        .map(|finding| (finding.code, finding.at))
        .collect()
}

#[test]
fn a_tag_is_part_of_the_spec_and_written_in_full() {
    let full =
        json!({"image": {"name": "docker.io/library/python", "tag": "3.12"}, "platform": "linux/amd64"});
    assert_eq!(form(json!({"image": "python:3.12"})), full);
    assert_eq!(
        form(json!({"image": "docker.io/library/python:3.12", "engine": "auto"})),
        full
    );
    assert_eq!(form(json!({"image": "python:3.12", "credentials": "corp"})), full);
}

#[test]
fn a_digest_stands_alone() {
    let digest = Digest::of(b"x").to_string();
    let full =
        json!({"image": {"name": "docker.io/library/python", "digest": digest}, "platform": "linux/amd64"});
    assert_eq!(form(json!({"image": format!("python@{digest}")})), full);
    assert_eq!(form(json!({"image": format!("python:3.12@{digest}")})), full);
    assert_eq!(
        form(json!({"image": format!("python@{digest}"), "mirrors": ["m.example"]})),
        full
    );
}

#[test]
fn a_mirror_counts_where_a_tag_is_looked_up() {
    let found = form(json!({"image": "python:3.12", "mirrors": ["m.example", "M.example/hub/"]}));
    assert_eq!(found["mirrors"], json!(["m.example/", "m.example/hub/"]));
}

/// A folder in OCI layout with an image of this name and digest, and nothing of it.
fn layout(folder: &Path, name: &str, digest: &str) {
    let index = json!({"manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "size": 1,
        "annotations": {"org.opencontainers.image.ref.name": name},
    }]});
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
}

/// A tar of these files.
fn archive(path: &Path, entries: &[(&str, &str)]) {
    let mut tar = tar::Builder::new(std::fs::File::create(path).unwrap());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    tar.finish().unwrap();
}

#[test]
fn an_image_of_this_machine_is_what_its_index_or_its_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let digest = Digest::of(b"manifest").to_string();
    layout(&folder.path().join("image"), "1", &digest);
    let index = std::fs::read_to_string(folder.path().join("image/index.json")).unwrap();
    archive(&folder.path().join("image.tar"), &[("./index.json", &index)]);
    let saved = r#"[{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["not/there.tar"]}]"#;
    archive(
        &folder.path().join("saved.tar"),
        &[("c.json", "configuration"), ("manifest.json", saved)],
    );
    let of_config = Digest::of(b"configuration").to_string();
    for (image, member) in [
        (format!("oci:{}", at("image")), json!({"layout": digest})),
        (format!("oci:{}:1", at("image")), json!({"layout": digest})),
        (
            format!("oci-archive:{}", at("image.tar")),
            json!({"layout": digest}),
        ),
        (
            format!("docker-archive:{}:app:1", at("saved.tar")),
            json!({"docker-archive": of_config}),
        ),
    ] {
        assert_eq!(form(json!({"image": image}))["image"], member, "{image}");
    }
}

#[test]
fn several_platforms_are_what_the_index_is() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |arch: &str| json!({"digest": Digest::of(arch.as_bytes()).to_string(), "size": 1, "platform": {"os": "linux", "architecture": arch}});
    let index = json!({"manifests": [entry("amd64"), entry("arm64")]}).to_string();
    std::fs::write(folder.path().join("index.json"), &index).unwrap();
    let image = format!("oci:{}", folder.path().display());
    assert_eq!(
        form(json!({"image": image}))["image"],
        json!({"layout": Digest::of(index.as_bytes()).to_string()})
    );
}

#[test]
fn a_build_is_its_containerfile_and_its_folder() {
    let digest = Digest::of(b"content").to_string();
    assert_eq!(
        form(json!({"build": "Containerfile", "target": "a", "args": {"A": "1"}, "builder": "podman"}))["image"],
        json!({"args": {"A": "1"}, "builder": "podman", "containerfile": digest, "context": digest, "target": "a"})
    );
}

#[test]
fn what_else_decides_is_part_of_the_form() {
    let with = |key: &str, value: Value| {
        let mut spec = json!({"image": "python:3.12"});
        spec[key] = value;
        let mut found = form(spec);
        let members = found.as_object_mut().unwrap();
        members.remove("image");
        if key != "platform" {
            members.remove("platform");
        }
        found
    };
    assert_eq!(with("engine", json!("podman")), json!({"engine": "podman"}));
    assert_eq!(
        with("platform", json!("linux/aarch64")),
        json!({"platform": "linux/arm64"})
    );
    assert_eq!(
        with("platform", json!("linux/arm/v6")),
        json!({"platform": "linux/arm/v6"})
    );
    assert_eq!(with("working-dir", json!("/srv")), json!({"working_dir": "/srv"}));
    assert_eq!(with("user", json!("1000:100")), json!({"user": "1000:100"}));
    assert_eq!(
        with("entrypoint", json!(["sh", "-c"])),
        json!({"entrypoint": {"words": ["sh", "-c"]}})
    );
    assert_eq!(
        with("entrypoint", json!([])),
        json!({"entrypoint": {"words": []}})
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let at = |code: &str, at: &str| (code.to_owned(), at.to_owned());
    assert_eq!(wrong(json!({})), [at("container.image.missing", "")]);
    assert_eq!(
        wrong(json!({"image": "Python"})),
        [at("container.image.syntax", "/image")]
    );
    assert_eq!(
        wrong(
            json!({"image": "a", "platform": "amd64", "working-dir": "srv", "user": "a b", "mirrors": ["m", "https://m"]})
        ),
        [
            at("container.platform.syntax", "/platform"),
            at("container.working-dir.syntax", "/working-dir"),
            at("container.user.syntax", "/user"),
            at("container.mirror.syntax", "/mirrors/1"),
        ]
    );
    assert_eq!(
        wrong(json!({"image": "a", "target": "b", "args": {"A": "1"}})),
        [
            at("container.spec.conflict", "/target"),
            at("container.spec.conflict", "/args")
        ]
    );
    assert_eq!(
        wrong(json!({"image": "oci:a", "credentials": "corp", "mirrors": ["m"]})),
        [
            at("container.spec.conflict", "/credentials"),
            at("container.spec.conflict", "/mirrors")
        ]
    );
    assert_eq!(
        wrong(json!({"image": "a", "credentials": "../x"})),
        [at("container.credentials.syntax", "/credentials")]
    );
    assert_eq!(
        wrong(json!({"build": "Containerfile", "credentials": "corp"})),
        [at("container.spec.conflict", "/credentials")]
    );
    assert_eq!(
        wrong(json!({"image": "a", "secrets": ["corp"]})),
        [at("container.spec.conflict", "/secrets")]
    );
    assert_eq!(
        wrong(json!({"build": "Containerfile", "secrets": ["corp", "a,src=/etc/shadow"]})),
        [at("container.secret.syntax", "/secrets/1")]
    );
    assert_eq!(
        wrong(json!({"image": "a", "build": "Containerfile"})),
        [at("container.spec.conflict", "/build")]
    );
    assert_eq!(
        wrong(json!({"image": "a", "engin": "podman"})),
        [at("container.spec.unknown-key", "/engin")]
    );
    // One mistake hides no other, and what is misspelt is not missing.
    assert_eq!(
        wrong(json!({"image": "a", "engin": "podman", "working-dir": "srv", "target": "x"})),
        [
            at("container.spec.conflict", "/target"),
            at("container.spec.unknown-key", "/engin"),
            at("container.working-dir.syntax", "/working-dir"),
        ]
    );
    assert_eq!(
        wrong(json!({"buidl": "Containerfile", "target": "x", "user": "a b"})),
        [
            at("container.spec.unknown-key", "/buidl"),
            at("container.user.syntax", "/user")
        ]
    );
}
