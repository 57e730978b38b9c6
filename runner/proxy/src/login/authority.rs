//! Certificates for one run, and those that servers are proven by.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::error::ProxyError;
use crate::target::Host;

/// What is spoken within, on both sides.
const PROTOCOL: &[u8] = b"http/1.1";

/// Both sides of encrypted connections.
pub(super) struct Encryption {
    certificate: String,
    /// Towards the run.
    pub(super) near: TlsAcceptor,
    /// Towards the server.
    pub(super) far: TlsConnector,
}

impl Encryption {
    /// An authority for these hosts. Its key is gone when its one certificate is made.
    pub(super) fn new(hosts: &[&Host], roots: RootCertStore) -> Result<Self, ProxyError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (certificate, mut near) = made(hosts, &provider)?;
        near.alpn_protocols = vec![PROTOCOL.to_vec()];
        let mut far = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        far.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self {
            certificate,
            near: Arc::new(near).into(),
            far: Arc::new(far).into(),
        })
    }

    /// That of the authority, as PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }
}

fn made(
    hosts: &[&Host],
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<(String, ServerConfig), ProxyError> {
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "wrun, for one run");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().map_err(|error| unusable(&error))?;
    let issuer = CertifiedIssuer::self_signed(authority, key).map_err(|error| unusable(&error))?;
    let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut of_hosts = CertificateParams::new(names).map_err(|error| unusable(&error))?;
    of_hosts.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(|error| unusable(&error))?;
    let certificate = of_hosts
        .signed_by(&key, &issuer)
        .map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(|error| unusable(&error))?;
    Ok((issuer.pem(), config))
}

fn unusable(error: &impl ToString) -> ProxyError {
    ProxyError::Encryption {
        reason: error.to_string(),
    }
}
