//! Who passes: whose certificate an authority of the guard has signed, and, with RHSM, whose entitlement has the path.

use rustls_pki_types::CertificateDer;

use super::{chain, entitlement, header};
use crate::prelude::*;

/// `certguard.x509`.
pub(super) struct X509;

#[async_trait]
impl ContentGuard for X509 {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        trusted(request, "certguard_x509certguard").await.map(|_| ())
    }
}

/// `certguard.rhsm`.
pub(super) struct Rhsm;

#[async_trait]
impl ContentGuard for Rhsm {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        let certificate = trusted(request, "certguard_rhsmcertguard").await?;
        let path = format!("{}/{}", request.distribution.base_path, request.path.as_str());
        if entitlement::covers(&certificate, &path) {
            Ok(())
        } else {
            Err(Denied("Requested path is not a subpath of a path in the client certificate.".to_owned()))
        }
    }
}

/// The client’s certificate, if the guard’s authorities vouch for it.
async fn trusted(request: &GuardRequest<'_>, table: &str) -> Result<CertificateDer<'static>, Denied> {
    let certificate = header::client_certificate(request)?;
    let sql = Sql::new(format!("select ca_certificate from {table} where contentguard_ptr_id = $1")).bind(request.guard);
    let unreadable = || Denied("Access denied.".to_owned());
    let found: Option<(String,)> = request.pulp.db().optional(sql).await.map_err(|error| {
        tracing::error!(%error, guard = %request.guard, "a content guard cannot be read");
        unreadable()
    })?;
    let authorities = found.as_ref().and_then(|(pem,)| chain::authorities(pem)).ok_or_else(unreadable)?;
    chain::verify(&certificate, &authorities, request.pulp.now()).map_err(|fault| Denied(fault.to_string()))?;
    Ok(certificate)
}
