//! What to trust and what to show: a remote's TLS options as a rustls configuration.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::{DownloadError, RemoteOptions};

/// The configuration for one remote. The provider is named, never the process default, so that an
/// embedding program keeps its own choice.
pub(super) fn client_config(options: &RemoteOptions) -> Result<ClientConfig, DownloadError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("tls_validation", error.to_string()))?;
    let builder = if options.tls_validation {
        let roots = match &options.ca_cert {
            Some(pem) => Arc::new(own_roots(pem)?),
            None => system_roots(),
        };
        builder.with_root_certificates(roots)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnyone(provider)))
    };
    let mut config = match identity(options)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| invalid("client_key", error.to_string()))?,
        None => builder.with_no_client_auth(),
    };
    // One connection for each concurrent download, as `download_concurrency` promises.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn own_roots(pem: &str) -> Result<RootCertStore, DownloadError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca_cert", pem)? {
        roots.add(certificate).map_err(|error| invalid("ca_cert", error.to_string()))?;
    }
    Ok(roots)
}

/// The authorities of the operating system, read once: there are more than a hundred.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "cannot read some of the system's certificate authorities");
            }
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                tracing::warn!("the system has no certificate authorities: https works only for remotes with a ca_cert");
            }
            Arc::new(roots)
        })
        .clone()
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(options: &RemoteOptions) -> Result<Option<Identity>, DownloadError> {
    let Some(pem) = &options.client_cert else {
        return match options.client_key {
            Some(_) => Err(invalid("client_cert", "must be given with client_key".to_owned())),
            None => Ok(None),
        };
    };
    let chain = certificates("client_cert", pem)?;
    // The key may stand in the same text as the certificate.
    let key = options.client_key.as_ref().map_or(pem.as_str(), |key| key.expose());
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| invalid("client_key", "holds no private key in PEM".to_owned()))?;
    Ok(Some((chain, key)))
}

fn certificates(field: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, DownloadError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(field, format!("not PEM: {error}")))?;
    if found.is_empty() {
        return Err(invalid(field, "holds no certificate in PEM".to_owned()));
    }
    Ok(found)
}

fn invalid(field: &'static str, reason: String) -> DownloadError {
    DownloadError::InvalidOption { field, reason }
}

/// `tls_validation: false`: any certificate of any name will do. Signatures are still checked, so the
/// peer at least holds the key of what it shows.
#[derive(Debug)]
struct TrustAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;

    fn field(options: &RemoteOptions) -> &'static str {
        match client_config(options) {
            Err(DownloadError::InvalidOption { field, .. }) => field,
            other => panic!("accepted, or another error: {other:?}"),
        }
    }

    #[test]
    fn what_is_not_pem_is_refused_by_field() {
        let junk = Some("no certificate".to_owned());
        let options = RemoteOptions { ca_cert: junk.clone(), ..RemoteOptions::default() };
        assert_eq!(field(&options), "ca_cert");
        let options = RemoteOptions { client_cert: junk, ..RemoteOptions::default() };
        assert_eq!(field(&options), "client_cert");
        let options = RemoteOptions { client_key: Some(Secret::new("key".to_owned())), ..RemoteOptions::default() };
        assert_eq!(field(&options), "client_cert");
    }

    #[test]
    fn no_options_trust_the_system() {
        assert!(client_config(&RemoteOptions::default()).is_ok());
    }
}
