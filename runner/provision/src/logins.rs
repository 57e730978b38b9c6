//! Logging installers in to their indexes, without telling them how.
//!
//! What is built from source runs beside its installer and sees what that sees: its variables, its files and its memory.
//! So the credential is added to requests outside, by the proxy that the installer goes through.

use std::ffi::OsString;

use pem::Pem;
use rustls::RootCertStore;
use url::Url;
use wrun_core::credential::Credential;
use wrun_core::plan::Login;
use wrun_proxy::{Logins, ProxyError};

use crate::credentials::look_up;
use crate::error::ProvisionError;
use crate::host::TaskHost;
use crate::http;
use crate::places::Places;

/// The file of certificates for a run, in its scratch folder.
const CERTIFICATES: &str = "wrun-certificates.pem";

/// Variables that name a file of certificates: for OpenSSL and what heeds the same, and for pip, which brings its own.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "PIP_CERT"];

impl TaskHost {
    /// The logins of a run. What is used is kept, to be blotted out.
    ///
    /// # Errors
    /// A credential is named and there is none, or it cannot be used.
    pub(crate) fn logins(
        &self,
        wanted: &[Login],
        used: &mut Vec<Credential>,
    ) -> Result<Logins, ProvisionError> {
        let mut logins = Vec::new();
        for Login { url, credential } in wanted {
            let url: Url = http::parse(url)?;
            if let Some(found) = look_up(self.credentials.as_ref(), Some(credential), Some(&url))? {
                used.push(found.clone());
                logins.push((url, found));
            }
        }
        let roots = || {
            let found = http::authorities(&self.settings).map_err(|error| ProxyError::Encryption {
                reason: error.to_string(),
            })?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found);
            Ok(roots)
        };
        Ok(Logins::new(logins, roots)?)
    }

    /// The variables with which a run trusts the servers that it is logged in to, beside all others.
    ///
    /// # Errors
    /// The file of certificates cannot be written.
    pub(crate) fn trust(
        &self,
        logins: &Logins,
        places: &Places<'_>,
    ) -> Result<Vec<(OsString, OsString)>, ProvisionError> {
        let Some(certificate) = logins.certificate() else {
            return Ok(Vec::new());
        };
        let mut text = String::from(certificate);
        for authority in http::authorities(&self.settings)? {
            text.push_str(&pem::encode(&Pem::new("CERTIFICATE", authority.to_vec())));
        }
        places
            .scratch_tree()
            .write(CERTIFICATES, text.as_bytes(), false)?;
        let path = places.scratch_path().join(CERTIFICATES);
        Ok(VARIABLES
            .map(|name| (name.into(), path.clone().into_os_string()))
            .into())
    }
}
