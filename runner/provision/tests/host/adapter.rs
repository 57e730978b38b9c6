//! A backend that only decides, made into one that acts.

use std::time::Duration;

use crate::support::{World, shell, step};
use serde_json::{Value, json};
use wrun_core::backend::{
    Backend as _, Canonical, InputKind, InputRequest, Inputs, Manifest, Needs, PlanBackend, Request, Slot,
    Solve,
};
use wrun_core::canon::Canon;
use wrun_core::id::EnvId;
use wrun_core::launch::{Launch, TaskKind};
use wrun_core::lock::Lock;
use wrun_core::plan::{Action, Check, InstallPlan, Place, Program, Word};
use wrun_core::problem::{Advice, Problem, StepFailure};
use wrun_core::question::{Answer, Exchange, MAXIMUM_ROUNDS, Question};
use wrun_core::tool::{ToolKind, ToolRequest};
use wrun_provision::PlanAdapter;
use wrun_store::FlightKey;

/// Copies a file: the spec names a list that names the file; solving asks the shell for its content `rounds` times.
struct Copying {
    rounds: usize,
}

impl PlanBackend for Copying {
    fn manifest(&self) -> Manifest {
        Manifest {
            id: "copying".to_owned(),
            summary: "copies".to_owned(),
            canonical_revision: 1,
            plan_revision: 7,
            schema: json!({}).into(),
            short_form: None,
            in_images: false,
        }
    }

    fn needs(&self, spec: &Value, known: &Inputs) -> Result<Needs, Problem> {
        let text = |path: &str| InputRequest {
            path: path.to_owned(),
            kind: InputKind::Text,
        };
        let list = text(spec["list"].as_str().unwrap());
        let named = known
            .get(&list)
            .and_then(|input| input.text())
            .map(|path| text(path.trim()));
        let shell = ToolRequest {
            id: "sh".to_owned(),
            kind: ToolKind::Program {
                names: vec!["sh".to_owned()],
                folders: Vec::new(),
                version_args: vec!["-c".to_owned(), "echo 1.0".to_owned()],
                minimum: None,
                wheel: None,
            },
        };
        Ok(Needs {
            inputs: std::iter::once(list).chain(named).collect(),
            tools: vec![shell],
        })
    }

    fn canonicalize(&self, request: &Request) -> Result<Canonical, Problem> {
        let texts = request
            .inputs
            .values()
            .filter_map(|input| input.text())
            .map(Canon::text);
        Ok(Canonical {
            form: Canon::list(texts),
            warnings: Vec::new(),
        })
    }

    fn solve(&self, _: &Request, _: Option<&Lock>, transcript: &[Exchange]) -> Result<Solve, Problem> {
        if transcript.len() < self.rounds {
            return Ok(Solve::Ask(vec![Question::Tool {
                label: "look".to_owned(),
                run: shell(&format!("echo {} > out", transcript.len())),
                files: Vec::new(),
                outputs: vec!["out".to_owned()],
            }]));
        }
        let answers = transcript.iter().map(|exchange| match &exchange.answer {
            Answer::Tool { outputs, .. } => json!(outputs[0].1.trim()),
            other => panic!("{other:?}"),
        });
        Ok(Solve::Done(Lock {
            backend: "copying".to_owned(),
            revision: 1,
            content: answers.collect(),
            packages: Vec::new(),
        }))
    }

    fn plan(&self, _: &Request, lock: &Lock) -> Result<InstallPlan, Problem> {
        let mut run = shell("cp \"$1\" \"$2\"");
        run.program = Program::Tool("sh".to_owned());
        run.timeout = Duration::from_secs(30);
        run.args.extend([
            "sh".into(),
            Word::from(Place::project("file")),
            Word::from(Place::prefix("copy")),
        ]);
        let lock = Action::Write {
            to: Place::prefix("lock"),
            content: lock.content.to_string(),
            executable: false,
        };
        Ok(InstallPlan {
            steps: vec![
                step("write the lock", &[], lock),
                step("copy", &[], Action::Run(run)),
            ],
            checks: vec![Check::Exists(Place::prefix("copy"))],
            estimated_bytes: Some(1),
            reads: Vec::new(),
        })
    }

    fn enter(&self, _: &Lock, _: TaskKind) -> Result<Launch, Problem> {
        Ok(Launch::Wasi {
            env: Vec::new(),
            module: None,
        })
    }

    fn explain(&self, failure: &StepFailure) -> Advice {
        crate::support::give_up(failure)
    }
}

fn world() -> World {
    let world = World::new();
    std::fs::write(world.project().join("list"), "file\n").unwrap();
    std::fs::write(world.project().join("file"), "content").unwrap();
    world
}

#[tokio::test]
async fn a_backend_that_decides_builds_an_environment() {
    let mut world = world();
    let host = world.host();
    let backend = PlanAdapter::new(Copying { rounds: 3 });
    let assessed = backend.assess(&host, &json!({ "list": "list" })).await.unwrap();
    assert_eq!(assessed.form.to_string(), r#"["content","file\n"]"#);
    assert_eq!(assessed.materialiser.to_string(), r#"{"plan_revision":7}"#);
    let lock = backend.solve(&host, &assessed, None).await.unwrap();
    assert_eq!(lock.content, json!(["0", "1", "2"]));
    assert_eq!(backend.preview(&assessed, &lock).unwrap().unwrap().steps.len(), 2);

    let id = EnvId::of(&lock.id().unwrap(), &assessed.materialiser);
    let flight = world
        .store
        .flight(&FlightKey::Env(id.clone()), &|| false, &mut |_| {})
        .unwrap();
    let build = world.store.begin(&flight, &id).unwrap();
    let slot = Slot {
        id,
        prefix: build.prefix().to_path_buf(),
    };
    backend.build(&host, &assessed, &lock, &slot).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(slot.prefix.join("copy")).unwrap(),
        "content"
    );
    assert_eq!(
        backend.enter(&lock, TaskKind::Module).unwrap(),
        Launch::Wasi {
            env: Vec::new(),
            module: None
        }
    );
}

#[tokio::test]
async fn questions_end_after_the_last_round() {
    let mut world = world();
    let host = world.host();
    for (rounds, solved) in [(MAXIMUM_ROUNDS, true), (MAXIMUM_ROUNDS + 1, false)] {
        let backend = PlanAdapter::new(Copying { rounds });
        let assessed = backend.assess(&host, &json!({ "list": "list" })).await.unwrap();
        match backend.solve(&host, &assessed, None).await {
            Ok(lock) => assert!(solved, "{lock:?}"),
            Err(problem) => assert_eq!((solved, problem.code()), (false, "backend.solve.endless")),
        }
    }
}

/// Asks for one more file in every round.
struct Endless;

impl PlanBackend for Endless {
    fn manifest(&self) -> Manifest {
        Copying { rounds: 0 }.manifest()
    }

    fn needs(&self, _: &Value, known: &Inputs) -> Result<Needs, Problem> {
        let next = InputRequest {
            path: format!("file-{}", known.len()),
            kind: InputKind::OptionalText,
        };
        Ok(Needs {
            inputs: known.keys().cloned().chain([next]).collect(),
            tools: Vec::new(),
        })
    }

    fn canonicalize(&self, _: &Request) -> Result<Canonical, Problem> {
        Ok(Canonical {
            form: Canon::text(""),
            warnings: Vec::new(),
        })
    }

    fn solve(&self, _: &Request, _: Option<&Lock>, _: &[Exchange]) -> Result<Solve, Problem> {
        Ok(Solve::Ask(Vec::new()))
    }

    fn plan(&self, _: &Request, _: &Lock) -> Result<InstallPlan, Problem> {
        Ok(InstallPlan::default())
    }

    fn enter(&self, _: &Lock, _: TaskKind) -> Result<Launch, Problem> {
        Ok(Launch::Wasi {
            env: Vec::new(),
            module: None,
        })
    }

    fn explain(&self, failure: &StepFailure) -> Advice {
        crate::support::give_up(failure)
    }
}

#[tokio::test]
async fn a_backend_that_never_has_enough_is_stopped() {
    let mut world = World::new();
    let problem = PlanAdapter::new(Endless)
        .assess(&world.host(), &json!({}))
        .await
        .unwrap_err();
    assert_eq!(problem.code(), "backend.inputs.endless");
}
