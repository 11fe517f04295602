//! The REST resources of the component.

use serde_json::Value as Json;

use super::chain;
use crate::prelude::*;

pub(super) fn register(registry: &mut Registry) {
    for (path, pulp_type, schema, table) in [
        ("contentguards/certguard/rhsm", "certguard.rhsm", "certguard.RHSMCertGuard", "certguard_rhsmcertguard"),
        ("contentguards/certguard/x509", "certguard.x509", "certguard.X509CertGuard", "certguard_x509certguard"),
    ] {
        let mut guard = Resource::content_guard(path, pulp_type, schema);
        // For administrators alone, as in Pulp.
        guard.roles = false;
        registry.resource(guard.detail(table, "contentguard_ptr_id").field(
            Field::text("ca_certificate").required().check(certificates).help("PEM of the authorities that sign client certificates."),
        ));
    }
}

fn certificates(value: &Json) -> Result<(), String> {
    match chain::authorities(value.as_str().unwrap_or_default()) {
        Some(_) => Ok(()),
        None => Err("Must be PEM encoded X.509 certificate.".to_owned()),
    }
}
