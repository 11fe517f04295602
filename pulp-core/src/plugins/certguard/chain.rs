//! Chains of certificates, checked as OpenSSL does without a purpose: from the client’s to a self-signed authority of the guard.
//!
//! Not by a library for TLS: those refuse certificates of the first version, which guards are used with.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::prelude::*;

/// Certificates of a chain, the client’s included.
const LONGEST: usize = 10;

/// Why a certificate is not trusted, in the words of OpenSSL, which clients are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("not enough data")]
    Unreadable,
    #[error("unable to get local issuer certificate")]
    UnknownIssuer,
    #[error("unable to get issuer certificate")]
    IncompleteChain,
    #[error("self-signed certificate")]
    SelfSigned,
    #[error("certificate signature failure")]
    Signature,
    #[error("certificate has expired")]
    Expired,
    #[error("certificate is not yet valid")]
    NotYetValid,
    #[error("invalid CA certificate")]
    NoAuthority,
    #[error("path length constraint exceeded")]
    PathLength,
    #[error("certificate chain too long")]
    TooLong,
    #[error("unhandled critical extension")]
    Critical,
}

/// The certificates of a PEM text; nothing if there is none, or one cannot be read.
pub(crate) fn authorities(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let all: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
    let readable = |der: &CertificateDer<'_>| X509Certificate::from_der(der).is_ok();
    (!all.is_empty() && all.iter().all(readable)).then_some(all)
}

/// Whether there is a chain from a certificate to one of the authorities, and all of it is valid now.
pub(crate) fn verify(certificate: &[u8], authorities: &[CertificateDer<'_>], now: Timestamp) -> Result<(), Fault> {
    let read = |der| X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|_| Fault::Unreadable);
    let authorities: Vec<X509Certificate<'_>> = authorities.iter().map(|der| read(der.as_ref())).collect::<Result<_, _>>()?;
    let mut chain = vec![read(certificate)?];
    let mut by_name = true;
    loop {
        let last = chain.last().ok_or(Fault::Unreadable)?;
        let self_issued = last.subject().as_raw() == last.issuer().as_raw();
        if self_issued && authorities.iter().any(|known| known.as_raw() == last.as_raw()) {
            break;
        }
        if chain.len() > LONGEST {
            return Err(Fault::TooLong);
        }
        let mut issuers = authorities.iter().filter(|known| known.subject().as_raw() == last.issuer().as_raw()).peekable();
        if issuers.peek().is_none() {
            return Err(match (self_issued, chain.len()) {
                (true, 1) => Fault::SelfSigned,
                (_, 1) => Fault::UnknownIssuer,
                _ => Fault::IncompleteChain,
            });
        }
        // Of several with one name, the one that has signed it.
        let Some(issuer) = issuers.find(|issuer| last.verify_signature(Some(issuer.public_key())).is_ok()) else {
            by_name = false;
            break;
        };
        let issuer = issuer.clone();
        chain.push(issuer);
    }
    if !by_name {
        return Err(Fault::Signature);
    }
    for (at, certificate) in chain.iter().enumerate() {
        known_extensions(certificate)?;
        if at > 0 {
            is_authority(certificate, &chain[1..at])?;
        }
    }
    chain.iter().rev().try_for_each(|certificate| is_valid(certificate, now))
}

fn is_valid(certificate: &X509Certificate<'_>, now: Timestamp) -> Result<(), Fault> {
    let (validity, now) = (certificate.validity(), now.timestamp());
    if now < validity.not_before.timestamp() {
        Err(Fault::NotYetValid)
    } else if now > validity.not_after.timestamp() {
        Err(Fault::Expired)
    } else {
        Ok(())
    }
}

/// What must be understood can be.
fn known_extensions(certificate: &X509Certificate<'_>) -> Result<(), Fault> {
    let unknown = certificate.extensions().iter().filter(|extension| extension.critical).any(|extension| {
        !matches!(
            extension.parsed_extension(),
            ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::BasicConstraints(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::NSCertType(_)
        )
    });
    if unknown { Err(Fault::Critical) } else { Ok(()) }
}

/// Whether a certificate may sign others; `below` are the authorities between it and the client.
fn is_authority(certificate: &X509Certificate<'_>, below: &[X509Certificate<'_>]) -> Result<(), Fault> {
    let usage = certificate.key_usage().map_err(|_| Fault::NoAuthority)?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(Fault::NoAuthority);
    }
    match certificate.basic_constraints().map_err(|_| Fault::NoAuthority)? {
        Some(constraints) if constraints.value.ca => {
            let others = below.iter().filter(|other| other.subject().as_raw() != other.issuer().as_raw()).count();
            match constraints.value.path_len_constraint {
                Some(most) if others > most as usize => Err(Fault::PathLength),
                _ => Ok(()),
            }
        }
        // The first version has no extensions: a root is trusted as it is.
        None if certificate.version() == X509Version::V1 && certificate.subject().as_raw() == certificate.issuer().as_raw() => Ok(()),
        _ => Err(Fault::NoAuthority),
    }
}
