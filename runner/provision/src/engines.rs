//! What runs images on this machine.

use std::path::PathBuf;

use wrun_core::event::Event;
use wrun_core::id::Digest;
use wrun_core::image::{Engine, ImageSource};
use wrun_core::sandbox::Demand;
use wrun_engine::{EngineError, EngineProgram, kept_name};
use wrun_process::{Command, Out, Stdin};
use wrun_sandbox::{Confinement, ImageRoot, Start, start};

use crate::error::ProvisionError;
use crate::host::TaskHost;

impl TaskHost {
    /// The wanted engine, or the first that works. That this program itself can be the wanted one is not looked at: the run
    /// says what is missing.
    pub(crate) async fn choose_engine(&self, wanted: Option<Engine>) -> Result<Engine, ProvisionError> {
        match wanted {
            Some(Engine::Builtin) => return Ok(Engine::Builtin),
            Some(engine) => {
                let program = self.engine_program(engine)?;
                let version = program.probe(&self.cancel).await?;
                self.say_engine(engine, &version, "it was asked for");
                return Ok(engine);
            }
            None => {}
        }
        let Some(reason) = self.why_not_itself().await? else {
            return Ok(Engine::Builtin);
        };
        let mut reasons = vec![reason.clone()];
        for engine in [Engine::Podman, Engine::Docker] {
            let probed = match self.engine_program(engine) {
                Ok(program) => program.probe(&self.cancel).await.map_err(ProvisionError::from),
                Err(error) => Err(error),
            };
            match probed {
                Ok(version) => {
                    self.say_engine(engine, &version, &reason);
                    return Ok(engine);
                }
                Err(ProvisionError::Cancelled) => return Err(ProvisionError::Cancelled),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(ProvisionError::NoEngine {
            reasons: reasons.join("; "),
        })
    }

    /// Has an engine keep an image.
    pub(crate) async fn keep_in_engine(
        &self,
        engine: Engine,
        source: &ImageSource,
        digest: &Digest,
    ) -> Result<String, ProvisionError> {
        let program = self.engine_program(engine)?;
        if let (true, ImageSource::Registry { reference }) = (self.settings.offline, source)
            && !program.has(reference, &self.cancel).await?
            && !program.has(&kept_name(digest), &self.cancel).await?
        {
            return Err(ProvisionError::ImageOffline {
                engine,
                image: reference.clone(),
            });
        }
        Ok(program.keep(source, digest, &self.cancel).await?)
    }

    fn engine_program(&self, engine: Engine) -> Result<EngineProgram, ProvisionError> {
        Ok(EngineProgram::find(engine, &self.settings.engine_variables)?)
    }

    fn say_engine(&self, engine: Engine, version: &str, reason: &str) {
        (self.events)(Event::Notice {
            code: "container.engine".to_owned(),
            message: format!("{} {version} runs the image: {reason}", engine.name()),
        });
    }

    /// Why this program cannot make an image the root of a process here, found out by doing so with an empty one.
    async fn why_not_itself(&self) -> Result<Option<String>, ProvisionError> {
        let scratch = self.store.scratch("engine")?;
        let confinement = Confinement {
            helper: self.settings.helper.clone(),
            demand: Demand::Full,
            scratch: scratch.path().to_owned(),
            image: Some(ImageRoot {
                layers: vec![scratch.path().to_owned()],
                ..ImageRoot::default()
            }),
            ..Confinement::none()
        };
        let nothing = Command {
            cwd: PathBuf::from("/"),
            stdin: Stdin::Null,
            stdout: Out::Null,
            stderr: Out::Null,
            ..Command::default()
        };
        match start(&confinement, nothing, &self.cancel).await? {
            Start::Running(mut confined) => {
                confined.tree.end(std::time::Duration::ZERO).await?;
                Ok(None)
            }
            Start::Refused(refusal) => Ok(Some(refusal.reason)),
            Start::Cancelled => Err(ProvisionError::Cancelled),
        }
    }
}

impl From<EngineError> for ProvisionError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Cancelled => Self::Cancelled,
            EngineError::Process(error) => error.into(),
            other => Self::Engine(Box::new(other)),
        }
    }
}
