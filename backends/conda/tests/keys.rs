//! The canonical form, member by member: whoever changes one of these raises the canonical revision.

#![expect(clippy::unwrap_used, reason = "a test says where it fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde_json::{Value, json};
use wrun_backend_conda::Conda;
use wrun_core::backend::{Backend as _, Input, InputRequest, Request, Slot};
use wrun_core::canon::Canon;
use wrun_core::host::Host;
use wrun_core::id::Digest;
use wrun_core::plan::InstallPlan;
use wrun_core::platform::Platform;
use wrun_core::problem::{Advice, Problem, StepFailure};
use wrun_core::question::{Answer, Question};
use wrun_core::tool::{ToolFound, ToolRequest};

/// A host that reads files out of a list and does nothing else.
struct Reader {
    files: BTreeMap<&'static str, String>,
    variables: BTreeMap<&'static str, &'static str>,
    downloads: PathBuf,
    platform: Platform,
}

#[async_trait]
impl Host for Reader {
    fn platform(&self) -> &Platform {
        &self.platform
    }

    fn offline(&self) -> bool {
        true
    }

    async fn read(&self, request: &InputRequest) -> Result<Input, Problem> {
        match self.files.get(request.path.as_str()) {
            Some(text) => Ok(Input::Text {
                text: text.clone(),
                digest: Digest::of(text.as_bytes()),
            }),
            None => Err(Problem::failed(
                "test.missing",
                format!("there is no `{}`", request.path),
            )),
        }
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

    fn downloads(&self, _name: &str) -> Result<PathBuf, Problem> {
        Ok(self.downloads.clone())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }

    fn project(&self) -> Option<&Path> {
        Some(Path::new("/project"))
    }
}

fn host() -> Reader {
    Reader {
        files: BTreeMap::new(),
        variables: BTreeMap::new(),
        downloads: std::env::temp_dir(),
        platform: Platform::current(),
    }
}

/// The members of the form that a spec has beside those of every spec of this machine.
fn form_on(host: &Reader, mut spec: Value) -> Value {
    let members = spec.as_object_mut().unwrap();
    if !members.contains_key("explicit") {
        members.entry("platform").or_insert(json!("linux-64"));
        let virtual_packages = members.entry("virtual-packages").or_insert(json!({}));
        let told = host.variables.contains_key("CONDA_OVERRIDE_CUDA");
        let cuda = (!told).then_some(("cuda", json!(false)));
        for (name, value) in [
            ("glibc", json!("2.36")),
            ("linux", json!("6.1")),
            ("archspec", json!("x86_64_v3")),
        ]
        .into_iter()
        .chain(cuda)
        {
            let listed = virtual_packages.as_object_mut().unwrap();
            listed.entry(name).or_insert(value);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let assessed = runtime.block_on(Conda::default().assess(host, &spec)).unwrap();
    assessed.form.to_json()
}

fn form(spec: Value) -> Value {
    form_on(&host(), spec)
}

/// The form of a spec without the members that every one has.
fn told(spec: Value) -> String {
    let mut form = form(spec);
    let members = form.as_object_mut().unwrap();
    for (member, usual) in [
        ("platform", json!("linux-64")),
        ("channels", json!(["https://conda.anaconda.org/conda-forge"])),
        (
            "virtual_packages",
            json!([
                "__archspec=1=x86_64_v3",
                "__glibc=2.36=0",
                "__linux=6.1=0",
                "__unix=0=0"
            ]),
        ),
    ] {
        if members.get(member) == Some(&usual) {
            members.remove(member);
        }
    }
    text(&form)
}

/// The text that is hashed.
fn text(form: &Value) -> String {
    Canon::from_json(form).unwrap().to_string()
}

#[test]
fn packages_in_any_order_and_any_spelling_are_one() {
    assert_eq!(
        told(json!({ "packages": ["zlib >=1.2,<2", "NumPy"] })),
        r#"{"packages":["numpy","zlib[version=\">=1.2,<2\"]"]}"#
    );
    assert_eq!(
        told(json!({ "packages": ["numpy", "numpy", "zlib>=1.2,<2"] })),
        r#"{"packages":["numpy","zlib[version=\">=1.2,<2\"]"]}"#
    );
}

#[test]
fn channels_count_in_their_order() {
    assert_eq!(
        told(
            json!({ "packages": ["a"], "channels": ["bioconda", "https://x.example/c/", "./here", "bioconda"] })
        ),
        r#"{"channels":["https://conda.anaconda.org/bioconda","https://x.example/c","file:///project/here"],"packages":["a"]}"#
    );
}

#[test]
fn a_credential_is_in_no_key() {
    assert_eq!(
        form(
            json!({ "packages": ["a"], "channels": [{ "url": "https://x.example/c", "credentials": "corp" }] })
        ),
        form(json!({ "packages": ["a"], "channels": ["https://x.example/c"] })),
    );
}

#[test]
fn the_priority_of_channels_counts_unless_it_is_the_usual_one() {
    assert_eq!(
        told(json!({ "packages": ["a"], "channel-priority": "strict" })),
        r#"{"packages":["a"]}"#
    );
    assert_eq!(
        told(json!({ "packages": ["a"], "channel-priority": "flexible" })),
        r#"{"packages":["a"],"priority":"flexible"}"#
    );
}

#[test]
fn the_cut_off_is_an_instant() {
    assert_eq!(
        told(json!({ "packages": ["a"], "exclude-newer": "2024-01-31" })),
        r#"{"packages":["a"],"uploaded_before":"2024-02-01T00:00:00Z"}"#
    );
    assert_eq!(
        form(json!({ "packages": ["a"], "exclude-newer": "2024-01-31" })),
        form(json!({ "packages": ["a"], "exclude-newer": "2024-02-01T01:00:00+01:00" })),
    );
}

#[test]
fn the_platform_counts() {
    let form = form(json!({ "packages": ["a"], "platform": "osx-arm64" }));
    assert_eq!(form["platform"], "osx-arm64");
}

#[test]
fn what_a_solve_may_see_of_the_machine_counts() {
    let seen = |virtual_packages: Value| {
        form(json!({ "packages": ["a"], "virtual-packages": virtual_packages }))["virtual_packages"].clone()
    };
    assert_eq!(
        seen(json!({ "cuda": "12.4", "glibc": "2.28", "__mine": "3" })),
        json!([
            "__archspec=1=x86_64_v3",
            "__cuda=12.4=0",
            "__glibc=2.28=0",
            "__linux=6.1=0",
            "__mine=3=0",
            "__unix=0=0"
        ])
    );
    // The patch level of the kernel changes with every update.
    assert_eq!(
        seen(json!({ "linux": "6.1.99" })),
        seen(json!({ "linux": "6.1.4" }))
    );
    assert_ne!(seen(json!({ "linux": "6.2" })), seen(json!({ "linux": "6.1" })));
}

#[test]
fn variables_of_the_caller_stand_in_for_what_is_found() {
    let mut host = host();
    host.variables.insert("CONDA_OVERRIDE_CUDA", "12.1");
    let seen = |virtual_packages: Value| {
        form_on(
            &host,
            json!({ "packages": ["a"], "virtual-packages": virtual_packages }),
        )["virtual_packages"]
            .to_string()
    };
    assert!(
        seen(json!({ "cuda": "11.0" })).contains("__cuda=11.0=0"),
        "the spec comes first"
    );
    assert!(seen(json!({})).contains("__cuda=12.1=0"));
}

#[test]
fn scripts_count_only_if_they_are_run() {
    assert_eq!(
        told(json!({ "packages": ["a"], "link-scripts": false })),
        r#"{"packages":["a"]}"#
    );
    assert_eq!(
        told(json!({ "packages": ["a"], "link-scripts": true })),
        r#"{"link_scripts":true,"packages":["a"]}"#
    );
}

#[test]
fn lines_for_pip_count_with_their_indexes() {
    assert_eq!(
        told(
            json!({ "packages": ["python", "pip"], "pip": ["emoji>=2 "], "indexes": [{ "url": "https://p.example/simple/", "credentials": "x" }] })
        ),
        format!(
            r#"{{"indexes":[{{"url":"https://p.example/simple"}}],"packages":["pip","python"],"pip":["emoji>=2"],"pip_files":{{"wrun-pip-lines.txt":"{}"}}}}"#,
            Digest::of(b"emoji>=2 \n")
        )
    );
    assert_eq!(
        told(json!({ "packages": ["a"], "indexes": ["https://p.example/simple"] })),
        r#"{"packages":["a"]}"#,
        "an index that nothing is taken from is not part of the key"
    );
}

#[test]
fn an_environment_file_counts_by_what_it_says() {
    let file = |text: &str| {
        let mut host = host();
        host.files.insert("environment.yml", text.to_owned());
        form_on(&host, json!({ "file": "environment.yml" }))
    };
    let one = file("name: x\nchannels: [bioconda]\ndependencies: [b, a >=1]\nvariables: {GREETING: hi}\n");
    assert_eq!(one["packages"], json!(["a[version=\">=1\"]", "b"]));
    assert_eq!(one["channels"], json!(["https://conda.anaconda.org/bioconda"]));
    assert_eq!(one["variables"], json!({ "GREETING": "hi" }));
    let same = file(
        "# a note\nchannels:\n  - bioconda\ndependencies:\n  - a>=1\n  - b\nvariables:\n  GREETING: hi\n",
    );
    assert_eq!(one, same);
    let other = file("channels: [bioconda]\ndependencies: [b, a >=2]\nvariables: {GREETING: hi}\n");
    assert_ne!(one, other);
}

#[test]
fn exact_addresses_count_in_their_order_with_their_digests() {
    let mut host = host();
    host.files.insert(
        "explicit.txt",
        "# platform: linux-64\n@EXPLICIT\nhttps://x.example/linux-64/b-1-0.conda#0123456789abcdef0123456789abcdef\n\
         https://x.example/linux-64/a-1-0.tar.bz2\n"
            .to_owned(),
    );
    let form = form_on(&host, json!({ "explicit": "explicit.txt" }));
    assert_eq!(
        text(&form),
        r#"{"explicit":[{"hash":"md5:0123456789abcdef0123456789abcdef","url":"https://x.example/linux-64/b-1-0.conda"},{"url":"https://x.example/linux-64/a-1-0.tar.bz2"}],"platform":"linux-64"}"#
    );
}
