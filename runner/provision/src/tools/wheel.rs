//! Wheels of the package index that carry tools: chosen, fetched by digest, unpacked into the store.

use std::path::{Path, PathBuf};

use pep440_rs::{Version, VersionSpecifiers};
use url::Url;
use wrun_core::event::Phase;
use wrun_core::id::Digest;
use wrun_store::Flight;

use super::index_page::{self, Offer};
use super::platform_tags::PlatformTags;
use super::wheel_name::WheelName;
use crate::credentials::look_up;
use crate::error::ProvisionError;
use crate::files;
use crate::host::TaskHost;
use crate::http::{self, Download, Get, parse, said_no, shown};
use crate::index::normalised;

/// The largest page of an index that is read, in bytes.
const PAGE_MAXIMUM: u64 = 64 * 1024 * 1024;

/// The largest program in a wheel that is given its executable bit by being written again, in bytes.
const PROGRAM_MAXIMUM: u64 = 512 * 1024 * 1024;

/// What a wheel is chosen by.
pub(super) struct Choice<'a> {
    /// The project, normalised.
    pub(super) project: &'a str,
    /// The oldest version that will do.
    pub(super) minimum: Option<&'a str>,
    /// The version of the interpreter that is to run it; a program needs none.
    pub(super) interpreter: Option<&'a Version>,
    /// Whether it has to run on any Linux, whatever C library that has.
    pub(super) everywhere: bool,
}

/// A wheel that was chosen.
pub(super) struct Wheel {
    pub(super) name: WheelName,
    pub(super) digest: Digest,
    url: Url,
    size: Option<u64>,
}

impl TaskHost {
    /// Waits until nobody else fetches the tool, and keeps others from it.
    pub(crate) async fn tool_flight(&self, name: &str) -> Result<Flight, ProvisionError> {
        let (store, cancel, events) = (self.store.clone(), self.cancel.clone(), self.events.clone());
        let key = wrun_store::FlightKey::Tool(name.to_owned());
        self.blocking("a lock of the store", move || {
            store.flight(&key, &|| cancel.is_cancelled(), &mut |holder| {
                events(wrun_core::event::Event::Waiting {
                    phase: Phase::Tools,
                    holder: format!("process {} of {}", holder.pid, holder.host),
                });
            })
        })
        .await?
        .map_err(|error| match error {
            wrun_store::StoreError::Cancelled { .. } => ProvisionError::Cancelled,
            error => error.into(),
        })
    }

    /// The newest wheel of a project that fits: released, not withdrawn, for this machine and interpreter.
    pub(super) async fn choose_wheel(&self, choice: &Choice<'_>) -> Result<Wheel, ProvisionError> {
        self.settings.check_indexes()?;
        let index = &self.settings.tool_index;
        let page = parse(&index.project_url(choice.project))?;
        let credential = match &index.credential {
            Some(credential) => Some(credential.clone()),
            None => look_up(self.credentials.as_ref(), None, Some(&page))?,
        };
        let headers = [("Accept".to_owned(), index_page::ACCEPT.to_owned())];
        let request = Get {
            url: &page,
            headers: &headers,
            credential: credential.as_ref().map(Into::into),
            maximum: PAGE_MAXIMUM,
            head: false,
            begins_with: &[],
            retried: &http::untold,
        };
        let response = self.http.get(&request).await?;
        if response.status != 200 {
            return Err(said_no(&page, response.status));
        }
        let offers =
            index_page::read(&response.media_type, &response.body, &response.url).map_err(|reason| {
                ProvisionError::IndexInvalid {
                    what: shown(&page),
                    reason,
                }
            })?;
        let tags = if choice.everywhere {
            PlatformTags::musl(&self.platform)
        } else {
            self.platform_tags().await?
        };
        let best = offers
            .into_iter()
            .filter_map(|offer| {
                let name = WheelName::parse(&offer.file)?;
                let fit = name.fit(&tags)?;
                choice.accepts(&name, &offer).then_some((name, fit, offer))
            })
            .max_by(|left, right| (&left.0.version, left.1).cmp(&(&right.0.version, right.1)));
        match best {
            Some((
                name,
                _,
                Offer {
                    url, digest, size, ..
                },
            )) => Ok(Wheel {
                name,
                digest,
                url,
                size,
            }),
            None => Err(ProvisionError::WheelMissing {
                url: shown(&page),
                project: choice.project.to_owned(),
                reason: choice.describe(&self.platform.os, &self.platform.arch),
                help: if choice.interpreter.is_some() {
                    "ask for a newer `python`".to_owned()
                } else {
                    format!("install `{}` on this machine", choice.project)
                },
            }),
        }
    }

    /// Brings a wheel into the store.
    pub(super) async fn fetch_wheel(&self, wheel: &Wheel) -> Result<PathBuf, ProvisionError> {
        let credential = match &self.settings.tool_index.credential {
            Some(credential) if self.settings.tool_index.serves(&wheel.url) => Some(credential.clone()),
            _ => look_up(self.credentials.as_ref(), None, Some(&wheel.url))?,
        };
        let step = self.begin(
            Phase::Tools,
            format!("fetch {} {}", wheel.name.distribution, wheel.name.version),
        );
        let file = Download {
            url: &wheel.url,
            digest: wheel.digest,
            size: wheel.size,
            credential: credential.as_ref().map(Into::into),
            progress: &|done, total| step.progress(done, total),
            retried: &|attempt, reason| step.retried(attempt, reason),
        };
        let path = self.http.download(&self.store, &file).await?;
        step.finish();
        Ok(path)
    }

    /// Unpacks a wheel to its place among the tools of the store, which is named `tool`, in place of one that is damaged.
    /// `programs` are its files that can be executed.
    pub(super) async fn install_wheel(
        &self,
        tool: &str,
        name: &WheelName,
        archive: PathBuf,
        programs: Vec<String>,
    ) -> Result<PathBuf, ProvisionError> {
        let store = self.store.clone();
        let (tool, version) = (tool.to_owned(), name.version.to_string());
        let metadata = metadata(name);
        let folder = self
            .blocking("unpacking a tool", move || {
                let is_whole = |folder: &Path| {
                    let none = programs.is_empty();
                    folder.join(&metadata).exists()
                        && (none || programs.iter().any(|rel| files::is_executable(&folder.join(rel))))
                };
                if store
                    .tool(&tool, &version)?
                    .is_some_and(|folder| !is_whole(&folder))
                {
                    store.remove_tool(&tool, &version)?;
                }
                store.install_tool(&tool, &version, &mut |tree| {
                    tree.unpack_zip(&archive, "")?;
                    for program in &programs {
                        if tree.exists(program)? && !files::is_executable(&tree.path().join(program)) {
                            let content = tree.read(program, PROGRAM_MAXIMUM)?;
                            tree.write(program, &content, true)?;
                        }
                    }
                    Ok(())
                })
            })
            .await??;
        Ok(folder)
    }
}

/// The file of a wheel that says what it is (PEP 427).
pub(super) fn metadata(name: &WheelName) -> String {
    format!("{}.dist-info/METADATA", name.stem())
}

impl Choice<'_> {
    fn accepts(&self, name: &WheelName, offer: &Offer) -> bool {
        let recent = self
            .minimum
            .and_then(|minimum| minimum.parse::<Version>().ok())
            .is_none_or(|minimum| name.version >= minimum);
        let runs = self
            .interpreter
            .is_none_or(|version| fits_python(offer.requires_python.as_deref(), version));
        normalised(&name.distribution) == self.project && !name.version.any_prerelease() && recent && runs
    }

    fn describe(&self, os: &str, arch: &str) -> String {
        let minimum = self
            .minimum
            .map(|minimum| format!("version {minimum} or later, "))
            .unwrap_or_default();
        let interpreter = self
            .interpreter
            .map(|version| format!("Python {version}, "))
            .unwrap_or_default();
        format!("a wheel is needed for {minimum}{interpreter}{os} on {arch}")
    }
}

/// Whether a `Requires-Python` (PEP 345) lets an interpreter run the wheel; one that makes no sense forbids nothing,
/// as for pip.
pub(super) fn fits_python(requires: Option<&str>, version: &Version) -> bool {
    requires
        .and_then(|requires| requires.parse::<VersionSpecifiers>().ok())
        .is_none_or(|requires| requires.contains(version))
}
