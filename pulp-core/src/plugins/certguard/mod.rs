//! The `certguard` component: content guards that ask for a client certificate.
//!
//! The certificate comes in the header `X-CLIENT-CERT`, from the proxy that has made the TLS connection and checked that the client has
//! the key. Whatever proxy stands in front must set or remove that header itself.

pub(crate) mod chain;
pub(crate) mod entitlement;
mod guard;
pub(crate) mod header;
mod huffman;
mod rest;

use pulp_migrations::MigrationSet;

use crate::prelude::*;

/// The component, to be given to [`PulpBuilder::plugin`](crate::PulpBuilder::plugin).
#[derive(Debug, Clone, Copy, Default)]
pub struct Certguard;

impl Plugin for Certguard {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            label: "certguard",
            version: "3.123.1",
            package: "pulpcore",
            module: "pulp_certguard.app",
            domain_compatible: true,
        }
    }

    fn migrations(&self) -> MigrationSet {
        pulp_migrations::CERTGUARD
    }

    fn register(&self, registry: &mut Registry) {
        registry.guard("certguard.x509", guard::X509);
        registry.guard("certguard.rhsm", guard::Rhsm);
        rest::register(registry);
    }
}
