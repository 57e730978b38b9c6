//! Credential helpers: `docker-credential-NAME get`, with the server on standard input.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use wrun_core::credential::{Credential, Secret};
use wrun_process::{CaptureLimits, Command, Out, Stdin, capture, spawn};

use super::login::LoginMeans;
use crate::error::ProvisionError;
use crate::files;
use crate::host::TaskHost;
use crate::patience::patiently;

/// How long a helper may take; it may ask the user to unlock a keyring.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Bytes of a helper's output that are taken.
const OUTPUT: usize = 1024 * 1024;

/// The user name that stands for an identity token.
const TOKEN: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl TaskHost {
    /// Asks a helper for what it has for a server; nothing if it has nothing.
    pub(super) async fn ask_helper(
        &self,
        name: &str,
        server: &str,
    ) -> Result<Option<LoginMeans>, ProvisionError> {
        let program = format!("docker-credential-{name}");
        let failed = |reason: String| ProvisionError::CredentialHelper {
            program: program.clone(),
            server: server.to_owned(),
            reason,
        };
        let path: PathBuf = self
            .settings
            .search_path
            .iter()
            .map(|folder| folder.join(&program))
            .find(|path| path.is_absolute() && files::is_executable(path))
            .ok_or_else(|| failed("there is no such program on the search path".to_owned()))?;
        let mut env: Vec<(OsString, OsString)> = self
            .credentials
            .helper_variables()
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        env.push(("PATH".into(), self.path_variable()));
        let mut tree = spawn(Command {
            program: path,
            args: vec!["get".into()],
            env,
            cwd: PathBuf::from("/"),
            stdin: Stdin::Piped,
            stdout: Out::Piped,
            stderr: Out::Piped,
            inherit: self.held()?,
            die_with_parent: true,
            ..Command::default()
        })?;
        if let Some(mut stdin) = tree.take_stdin() {
            // A helper that does not read says by its exit what is wrong.
            drop(stdin.write_all(server.as_bytes()).await);
        }
        let limits = CaptureLimits {
            stdout_max: OUTPUT,
            stderr_tail_max: OUTPUT,
            timeout: TIMEOUT,
        };
        let awaited = || BTreeSet::from([program.clone()]);
        let what = format!("the login for {server}");
        let mut unread = |_, _: &str| {};
        let asking = capture(&mut tree, limits, &self.cancel, &mut unread);
        let said = patiently(
            &self.events,
            self.settings.timing.patience,
            &what,
            awaited,
            asking,
        )
        .await?;
        if said.cancelled {
            return Err(ProvisionError::Cancelled);
        }
        if said.timed_out {
            return Err(failed(format!(
                "it did not answer in {} seconds",
                TIMEOUT.as_secs()
            )));
        }
        if !said.is_success() {
            // Helpers write errors to their standard output; this one means that there is nothing.
            let message = said.stdout_text();
            if message.contains("credentials not found") {
                return Ok(None);
            }
            return Err(failed(match said.exit {
                Some(code) => format!("it failed with exit code {code}"),
                None => "it was ended by a signal".to_owned(),
            }));
        }
        let answer: Answer = serde_json::from_slice(&said.stdout)
            .map_err(|_| failed("what it wrote is not a credential".to_owned()))?;
        Ok(Some(if answer.username == TOKEN {
            LoginMeans::IdentityToken(Secret::new(answer.secret))
        } else {
            LoginMeans::Password(Credential {
                username: answer.username,
                password: Secret::new(answer.secret),
            })
        }))
    }
}
