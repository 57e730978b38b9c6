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
    /// The logins of a run, and the variables with which it trusts the servers of them, beside all others. What is used is
    /// kept, to be blotted out.
    ///
    /// # Errors
    /// A credential is named and there is none, it cannot be used, or the file of certificates cannot be written.
    pub(crate) fn logins(
        &self,
        wanted: &[Login],
        places: &Places<'_>,
        used: &mut Vec<Credential>,
    ) -> Result<(Logins, Vec<(OsString, OsString)>), ProvisionError> {
        let mut logins = Vec::new();
        for Login { url, credential } in wanted {
            let url: Url = http::parse(url)?;
            if let Some(found) = look_up(self.credentials.as_ref(), Some(credential), Some(&url))? {
                used.push(found.clone());
                logins.push((url, found));
            }
        }
        let mut authorities = Vec::new();
        let roots = || {
            authorities = http::authorities(&self.settings).map_err(|error| ProxyError::Encryption {
                reason: error.to_string(),
            })?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities.iter().cloned());
            Ok(roots)
        };
        let logins = Logins::new(logins, roots)?;
        let Some(certificate) = logins.certificate() else {
            return Ok((logins, Vec::new()));
        };
        let mut text = String::from(certificate);
        for authority in &authorities {
            text.push_str(&pem::encode(&Pem::new("CERTIFICATE", authority.to_vec())));
        }
        places
            .scratch_tree()
            .write(CERTIFICATES, text.as_bytes(), false)?;
        let path = places.scratch_path().join(CERTIFICATES).into_os_string();
        let variables = VARIABLES.map(|name| (name.into(), path.clone()));
        Ok((logins, variables.into()))
    }
}
