//! Runs of plans and questions: made from data into a program with its variables.

use std::ffi::{OsStr, OsString};

use tokio_util::sync::CancellationToken;
use url::Url;
use wrun_core::credential::Credential;
use wrun_core::plan::{NetworkUse, Offline, Run};
use wrun_core::text::harmless_output;
use wrun_process::Captured;

use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::index::take_credential;
use crate::places::Places;
use crate::redact::Redactor;
use crate::spawn::{Invocation, written};

/// A program that ran to its end, or to its time limit.
pub(crate) struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub(crate) exit: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// Whether its time ran out.
    pub(crate) timed_out: bool,
    /// Its standard output, secrets blotted out.
    pub(crate) stdout: String,
    /// The end of its standard error, secrets blotted out and harmless to show.
    pub(crate) stderr: String,
    /// What there is to show of it, harmless: standard error, else standard output.
    pub(crate) output: String,
    /// What blotted the secrets out.
    pub(crate) redactor: Redactor,
}

impl TaskHost {
    /// Runs a program of a plan or a question. `label` is for messages.
    ///
    /// # Errors
    /// It needs the network and the run is offline, a credential is missing, it cannot be started, or the user ended
    /// it. How it ended is no error.
    pub(crate) async fn run(
        &self,
        label: &str,
        run: &Run,
        places: &Places<'_>,
        cancel: &CancellationToken,
    ) -> Result<Ran, ProvisionError> {
        self.run_on(label, run, places, cancel, self.settings.offline)
            .await
    }

    /// Runs an installer: with what was downloaded before if all of it was, and with the network if that was not so or is
    /// not enough. One that starts what needs the network has it at once: a build may come
    /// to another end without.
    ///
    /// # Errors
    /// As for [`TaskHost::run`].
    pub(crate) async fn run_at_hand_first(
        &self,
        label: &str,
        run: &Run,
        places: &Places<'_>,
        cancel: &CancellationToken,
    ) -> Result<Ran, ProvisionError> {
        let is_choice = run.network == NetworkUse::Program && !self.settings.offline;
        let known = run
            .offline
            .as_deref()
            .filter(|known| is_choice && !known.downloads.is_empty());
        let Some(Offline { cache, downloads, .. }) = known else {
            return self.run(label, run, places, cancel).await;
        };
        let downloaded = self.store.downloaded(cache)?;
        if downloaded.has(downloads) {
            let ran = self.run_on(label, run, places, cancel, true).await?;
            if ran.exit == Some(0) {
                return Ok(ran);
            }
            tracing::debug!(label, "not everything is at hand");
        }
        let ran = self.run(label, run, places, cancel).await?;
        if ran.exit == Some(0)
            && let Err(error) = downloaded.note(downloads)
        {
            tracing::debug!(cache, %error, "what was downloaded is not noted");
        }
        Ok(ran)
    }

    async fn run_on(
        &self,
        label: &str,
        run: &Run,
        places: &Places<'_>,
        cancel: &CancellationToken,
        offline: bool,
    ) -> Result<Ran, ProvisionError> {
        let mut env: Vec<(OsString, OsString)> = Vec::new();
        let needs_network = run.network != NetworkUse::None;
        let told_offline = if needs_network && offline {
            let can = run.offline.as_ref().ok_or_else(|| ProvisionError::Offline {
                what: label.to_owned(),
            })?;
            Some(can.variable.as_str())
        } else {
            None
        };
        let mut used = self.proxy_credentials();
        let (logins, trusted) = if needs_network && !offline {
            self.logins(&run.logins, places, &mut used)?
        } else {
            Default::default()
        };
        for (name, value) in &run.env {
            env.push((name.into(), places.word(value)?));
        }
        if let Some(variable) = told_offline {
            env.retain(|(name, _)| name != variable);
            env.push((variable.into(), "1".into()));
        }
        env.extend(trusted);
        let (home, temporary) = places.home_and_temporary();
        let folders = [("HOME", home.into()), ("TMPDIR", temporary.into())];
        self.add_surroundings(&mut env, folders, needs_network && !offline);
        let args: Vec<OsString> = run
            .args
            .iter()
            .map(|word| places.word(word))
            .collect::<Result<_, _>>()?;
        let values = env.iter().map(|(_, value)| value.as_os_str());
        let mentioned: Vec<&OsStr> = args.iter().map(OsString::as_os_str).chain(values).collect();
        let network = if offline { NetworkUse::None } else { run.network };
        let mut confinement = self.confinement(places, &mentioned, network);
        confinement.gate.logins = logins;
        let invocation = Invocation {
            label: label.to_owned(),
            program: places.program(&run.program)?,
            args,
            env,
            cwd: places.path(&run.cwd)?,
            timeout: run.timeout,
            confinement: Some(confinement),
        };
        let captured = self.capture(invocation, cancel).await?;
        let redactor = Redactor::new(&used);
        let clean = |bytes: &[u8]| redactor.clean(&String::from_utf8_lossy(bytes));
        // It is shown, and kept for those who wait for the same; standard output is read by backends as it is.
        let shown = |text: &str| harmless_output(&redactor.clean(text));
        let Captured {
            exit,
            signal,
            timed_out,
            stdout,
            stderr_tail,
            ..
        } = &captured;
        Ok(Ran {
            exit: *exit,
            signal: *signal,
            timed_out: *timed_out,
            stdout: clean(stdout),
            stderr: shown(&String::from_utf8_lossy(stderr_tail)),
            output: shown(&written(&captured)),
            redactor,
        })
    }

    /// Adds what every run gets, unless the run sets it itself. Only with a network has it proxies, whose addresses commonly
    /// hold a password, and certificates, which take long to read.
    fn add_surroundings(
        &self,
        env: &mut Vec<(OsString, OsString)>,
        folders: [(&str, OsString); 2],
        network: bool,
    ) {
        let passed = self
            .settings
            .passthrough
            .iter()
            .filter(|_| network)
            .map(|(name, value)| (name.as_str(), value.into()));
        let path = ("PATH", self.path_variable());
        let of_image = self.inside.iter().flat_map(|inside| &inside.variables);
        let of_image = of_image.map(|(name, value)| (name.as_str(), value.into()));
        for (name, value) in folders.into_iter().chain([path]).chain(passed).chain(of_image) {
            if !env.iter().any(|(known, _)| known == name) {
                env.push((name.into(), value));
            }
        }
    }

    /// The credentials in the addresses of the caller's proxies, which tools like to repeat.
    pub(crate) fn proxy_credentials(&self) -> Vec<Credential> {
        let addresses = self
            .settings
            .passthrough
            .iter()
            .filter_map(|(_, value)| Url::parse(value).ok());
        addresses
            .filter_map(|mut url| take_credential(&mut url))
            .collect()
    }
}
