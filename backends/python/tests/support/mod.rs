//! Requests as a host would make them. Each backend's tests include this file beside its `BACKEND` and its `TOOL`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use wrun_core::backend::{Input, InputKind, InputRequest, Inputs, PlanBackend as _, Request, Solve};
use wrun_core::canon::Canon;
use wrun_core::id::{Digest, SpecId};
use wrun_core::lock::Lock;
use wrun_core::platform::Platform;
use wrun_core::problem::Problem;
use wrun_core::question::{Answer, Exchange, Question};
use wrun_core::tool::{Interpreter, ToolFound, VirtualEnvironment};

use super::{BACKEND, TOOL};

pub(crate) fn text(path: &str, content: &str) -> (InputRequest, Input) {
    let request = InputRequest {
        path: path.to_owned(),
        kind: InputKind::Text,
    };
    (
        request,
        Input::Text {
            text: content.to_owned(),
            digest: Digest::of(content.as_bytes()),
        },
    )
}

pub(crate) fn optional(path: &str, content: Option<&str>) -> (InputRequest, Input) {
    let request = InputRequest {
        path: path.to_owned(),
        kind: InputKind::OptionalText,
    };
    let input = content.map_or(Input::Absent, |content| text(path, content).1);
    (request, input)
}

pub(crate) fn digest(path: &str, content: &str) -> (InputRequest, Input) {
    let request = InputRequest {
        path: path.to_owned(),
        kind: InputKind::Digest,
    };
    (request, Input::Digest(Digest::of(content.as_bytes())))
}

pub(crate) fn interpreter() -> Interpreter {
    let markers = [
        ("python_full_version", "3.11.7"),
        ("sys_platform", "linux"),
        ("platform_release", "6.1.0"),
    ];
    Interpreter {
        implementation: "cpython".to_owned(),
        version: "3.11.7".to_owned(),
        soabi: "cpython-311-x86_64-linux-gnu".to_owned(),
        libc: "glibc-2.36".to_owned(),
        platform: "linux-x86_64".to_owned(),
        markers: markers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        base_prefix: "/usr".to_owned(),
        has_venv: true,
        has_ensurepip: true,
        virtual_environment: Some(VirtualEnvironment {
            base_executable: "/usr/bin/python3.11".into(),
            site_packages: "lib/python3.11/site-packages".to_owned(),
            has_lib64: true,
        }),
        size: 1,
        modified_ns: 2,
        inode: 3,
    }
}

pub(crate) fn request(spec: Value, inputs: impl IntoIterator<Item = (InputRequest, Input)>) -> Request {
    let tool = |id: &str, version: &str, python: Option<Interpreter>| ToolFound {
        id: id.to_owned(),
        path: PathBuf::from(format!("/usr/bin/{id}")),
        version: version.to_owned(),
        digest: None,
        python,
    };
    Request {
        spec,
        inputs: inputs.into_iter().collect(),
        tools: vec![
            tool("python", "3.11.7", Some(interpreter())),
            tool(TOOL.0, TOOL.1, None),
        ],
        platform: Platform {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
        },
    }
}

/// The canonical form without what is the same in all of them, and the id.
pub(crate) fn key(request: &Request) -> String {
    let form = BACKEND.canonicalize(request).unwrap().form;
    let mut shown = form.to_json();
    for same in ["backend", "interpreter", "revision"] {
        shown.as_object_mut().unwrap().remove(same).unwrap();
    }
    format!("{} {}", Canon::from_json(&shown).unwrap(), SpecId::of(&form))
}

pub(crate) fn id(spec: Value) -> SpecId {
    SpecId::of(&BACKEND.canonicalize(&request(spec, [])).unwrap().form)
}

/// The one question of a request.
pub(crate) fn question(request: &Request) -> Question {
    match BACKEND.solve(request, None, &[]).unwrap() {
        Solve::Ask(mut questions) => questions.remove(0),
        Solve::Done(lock) => panic!("it knows the lock: {lock:?}"),
    }
}

/// What comes of an answer.
pub(crate) fn answered(request: &Request, answer: Answer) -> Result<Lock, Problem> {
    let exchange = Exchange {
        question: question(request),
        answer,
    };
    match BACKEND.solve(request, None, &[exchange])? {
        Solve::Done(lock) => Ok(lock),
        Solve::Ask(more) => panic!("it asks more: {more:?}"),
    }
}

/// Findings of a spec that is wrong: place, code, message.
pub(crate) fn findings(spec: &Value, known: &Inputs) -> Vec<(String, String, String)> {
    match BACKEND.needs(spec, known) {
        Err(Problem::Invalid(findings)) => findings
            .into_iter()
            .map(|finding| (finding.at, finding.code, finding.message))
            .collect(),
        other => panic!("it is accepted: {other:?}"),
    }
}

/// The words of a run, with places and tools in angle brackets.
pub(crate) fn words(run: &wrun_core::plan::Run) -> String {
    use wrun_core::plan::{Piece, Program, Word};
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) if text.contains('\n') => "<script>".to_owned(),
        Piece::Text(text) => text.clone(),
        Piece::Place(place) => format!("<{:?}:{}>", place.root, place.rel),
        Piece::Tool(id) => format!("<{id}>"),
        Piece::Patience => "<patience>".to_owned(),
    };
    let word = |word: &Word| word.0.iter().map(piece).collect::<String>();
    let program = match &run.program {
        Program::Tool(id) => format!("<{id}>"),
        Program::Place(place) => format!("<{:?}:{}>", place.root, place.rel),
    };
    std::iter::once(program)
        .chain(run.args.iter().map(word))
        .collect::<Vec<_>>()
        .join(" ")
}

pub(crate) fn variables(run: &wrun_core::plan::Run) -> BTreeMap<String, String> {
    run.env
        .iter()
        .map(|(name, value)| (name.clone(), format!("{value:?}")))
        .collect()
}

/// JSON with its members in the order of their names, whatever order this build of `serde_json` keeps.
pub(crate) fn sorted(value: &Value) -> Value {
    Canon::from_json(value).unwrap().to_json()
}
