//! The HTTP client: certificates and proxies as the caller's variables say.

use std::path::Path;
use std::sync::Arc;

use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy, Proxy};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

use crate::error::ProvisionError;
use crate::settings::Settings;

/// Makes the proxy of one kind of address.
type MakeProxy = fn(&str) -> reqwest::Result<Proxy>;

const USER_AGENT: &str = concat!("wrun/", env!("CARGO_PKG_VERSION"));

pub(crate) fn build(settings: &Settings, redirections: Policy) -> Result<Client, ProvisionError> {
    let mut builder = Client::builder()
        .redirect(redirections)
        .user_agent(USER_AGENT)
        .connect_timeout(settings.timing.connect)
        .read_timeout(settings.timing.idle)
        .tls_backend_preconfigured(tls(settings)?)
        .no_proxy();
    let kinds: [(&str, MakeProxy); 3] = [
        ("HTTP_PROXY", |address| Proxy::http(address)),
        ("HTTPS_PROXY", |address| Proxy::https(address)),
        ("ALL_PROXY", |address| Proxy::all(address)),
    ];
    for (variable, proxy) in kinds {
        if let Some(address) = settings.passed(variable) {
            // The address may hold a password, so the error must not repeat it.
            let proxy = proxy(address).map_err(|_| {
                setup(&format!(
                    "`{variable}` is not the address of a proxy that can be used"
                ))
            })?;
            let direct = settings.passed("NO_PROXY").and_then(NoProxy::from_string);
            builder = builder.proxy(proxy.no_proxy(direct));
        }
    }
    builder.build().map_err(|error| setup(&error))
}

fn tls(settings: &Settings) -> Result<ClientConfig, ProvisionError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities(settings)?);
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else those of the system. At least one can be used.
pub(crate) fn authorities(settings: &Settings) -> Result<Vec<CertificateDer<'static>>, ProvisionError> {
    let found = match (settings.passed("SSL_CERT_FILE"), settings.passed("SSL_CERT_DIR")) {
        (None, None) => load_native_certs(),
        (file, folders) => named_certificates(file, folders),
    };
    let (added, _unusable) = RootCertStore::empty().add_parsable_certificates(found.certs.iter().cloned());
    if added == 0 {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(setup(&format!(
            "no certificates of authorities were found; {}",
            reasons.join("; ")
        )));
    }
    Ok(found.certs)
}

fn named_certificates(file: Option<&str>, folders: Option<&str>) -> CertificateResult {
    let mut all = load_certs_from_paths(file.map(Path::new), None);
    for folder in folders.into_iter().flat_map(std::env::split_paths) {
        let found = load_certs_from_paths(None, Some(&folder));
        all.certs.extend(found.certs);
        all.errors.extend(found.errors);
    }
    all
}

fn setup(reason: &impl ToString) -> ProvisionError {
    ProvisionError::HttpSetup {
        reason: reason.to_string(),
    }
}
