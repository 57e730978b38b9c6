//! The way out of installers that have the network of the machine, where they are not to see who they are: a proxy of
//! their own on the loopback interface, which knows them by a password that it made up.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};

use data_encoding::HEXLOWER;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio_util::sync::{CancellationToken, DropGuard};
use wrun_core::credential::Secret;
use wrun_core::net::Net;
use wrun_proxy::{Gate, USER};

use crate::error::ProvisionError;

/// Bytes of the password.
const PASSWORD: usize = 16;

/// A proxy for one run, for as long as it lives.
pub(crate) struct WayOut {
    address: String,
    _stop: DropGuard,
}

impl WayOut {
    /// Opens it: to everywhere, since the run has the whole network.
    ///
    /// # Errors
    /// There is no loopback interface, or no randomness.
    pub(crate) fn open(gate: &Gate) -> Result<Self, ProvisionError> {
        let unusable = |error: std::io::Error| ProvisionError::Host {
            what: "a proxy for an installer",
            reason: error.to_string(),
        };
        let mut password = [0; PASSWORD];
        getrandom(&mut password, GetRandomFlags::empty()).map_err(|error| unusable(error.into()))?;
        let password = HEXLOWER.encode(&password);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(unusable)?;
        let at = listener.local_addr().map_err(unusable)?;
        let gate = Gate {
            net: Net::All,
            password: Some(Secret::new(password.as_str())),
            ..gate.clone()
        };
        let stop = CancellationToken::new();
        let served = wrun_proxy::serve(listener, gate, stop.clone());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::warn!(%error, "an installer reaches nothing");
            }
        });
        Ok(Self {
            address: format!("http://{USER}:{password}@{at}"),
            _stop: stop.drop_guard(),
        })
    }

    /// Has a run's variables lead to it, for all addresses.
    pub(crate) fn lead(&self, env: &mut Vec<(OsString, OsString)>) {
        env.retain(|(name, _)| {
            let name = name.to_string_lossy().to_ascii_lowercase();
            !name.ends_with("_proxy")
        });
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            for name in [name.to_owned(), name.to_ascii_lowercase()] {
                env.push((name.into(), self.address.clone().into()));
            }
        }
    }
}
