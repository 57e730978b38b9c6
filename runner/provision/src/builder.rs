//! Builders of images, and files that backends keep.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use wrun_core::event::Phase;
use wrun_core::host::{BuilderRun, BuilderSecret};
use wrun_core::id::Digest;
use wrun_core::text::harmless_output;

use crate::credentials::look_up;
use crate::error::ProvisionError;
use crate::files;
use crate::host::TaskHost;
use crate::redact::Redactor;
use crate::spawn::Invocation;
use crate::steps::shown_output;

/// How long a build may take.
const TIMEOUT: Duration = Duration::from_hours(4);

impl TaskHost {
    /// Runs a builder with the caller's home folder, since that is where it keeps its images and its logins.
    pub(crate) async fn run_image_builder(&self, run: &BuilderRun) -> Result<(), ProvisionError> {
        let BuilderRun {
            label,
            program,
            args,
            variables,
            secrets,
            folder,
        } = run;
        if self.settings.offline {
            return Err(ProvisionError::Offline {
                what: format!("`{}` ({label})", program.display()),
            });
        }
        let progress = self.begin(Phase::Solve, label.clone());
        let mut env = self.builder_variables();
        env.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
        let mut used = self.proxy_credentials();
        for BuilderSecret { variable, credential } in secrets {
            if let Some(found) = look_up(&*self.credentials, Some(credential), None)? {
                env.push((variable.into(), found.password.expose().into()));
                used.push(found);
            }
        }
        let captured = self
            .capture(
                Invocation {
                    label: label.clone(),
                    program: program.clone(),
                    args: args.clone(),
                    env,
                    cwd: folder.clone(),
                    timeout: TIMEOUT,
                    confinement: None,
                },
                &self.cancel,
            )
            .await?;
        if captured.is_success() {
            progress.finish();
            return Ok(());
        }
        // What the steps say comes on either, and which of them failed on the other.
        let said = format!(
            "{}\n{}",
            captured.stdout_text().trim_end(),
            captured.stderr_text()
        );
        let said = harmless_output(&Redactor::new(&used).clean(said.trim()));
        if let Some(reason) = wrun_engine::wants_subordinate_ids(&said) {
            return Err(ProvisionError::BuilderSubordinateIds {
                label: label.clone(),
                program: program.clone(),
                reason: reason.to_owned(),
            });
        }
        Err(ProvisionError::Builder {
            label: label.clone(),
            program: program.clone(),
            reason: match captured.exit {
                _ if captured.timed_out => format!("it took longer than {} seconds", TIMEOUT.as_secs()),
                Some(code) => format!("exit code {code}"),
                None => "it was ended by a signal".to_owned(),
            },
            output: shown_output(&said),
        })
    }

    /// The caller's variables that builders read.
    pub(crate) fn builder_variables(&self) -> Vec<(OsString, OsString)> {
        let read = self.credentials.helper_variables().into_iter();
        read.map(|(name, value)| (name.into(), value.into()))
            .chain([("PATH".into(), self.path_variable())])
            .collect()
    }

    /// Keeps a file as one that was fetched.
    pub(crate) async fn keep_file(&self, file: &Path) -> Result<Digest, ProvisionError> {
        let (store, path) = (self.store.clone(), file.to_owned());
        self.blocking("keeping a file", move || -> Result<Digest, ProvisionError> {
            let mut writer = store.artifact_writer();
            let mut failed = None;
            files::read_in_chunks(&path, |chunk| match writer.write(chunk) {
                Ok(()) => true,
                Err(error) => {
                    failed = Some(error);
                    false
                }
            })
            .map_err(|error| ProvisionError::InputUnreadable {
                path: path.clone(),
                reason: error.to_string(),
            })?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            let digest = writer.digest();
            writer.finish(&digest)?;
            Ok(digest)
        })
        .await?
    }
}
