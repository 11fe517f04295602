//! Resources of few words: signing services, and where artifacts can be fetched.

use super::small::text;
use crate::plugin::Registry;
use crate::resource::{Change, Create, Field, Resource, bases};

pub(super) fn register(registry: &mut Registry) {
    registry.resource(signing_services());
    registry.distribution("core.artifact", crate::content::Artifacts);
    registry.resource(artifact_distributions());
}

/// Where artifacts can be fetched by signed addresses; made when the first is.
fn artifact_distributions() -> Resource {
    let mut artifacts = Resource::distribution("distributions/core/artifacts", "core.artifact", "ArtifactDistribution")
        .field(bases::repository_version())
        .detail("core_artifactdistribution", "distribution_ptr_id");
    artifacts.create = Create::No;
    artifacts.update = Change::No;
    artifacts.delete = Change::No;
    artifacts.labels = None;
    artifacts.roles = false;
    artifacts
}

/// Programs that sign; they are added and removed on the host.
fn signing_services() -> Resource {
    let mut services = Resource::new("signing-services", "core_signingservice", "SigningService")
        .field(Field::text("name").required().unique().help("The name."))
        .field(Field::text("public_key").required().help("The public key, armored."))
        .field(Field::text("pubkey_fingerprint").required().help("The fingerprint of the public key."))
        .field(Field::text("script").required().help("The program, on the host."))
        .filter(text("name"))
        .ordered_by(["name", "pubkey_fingerprint", "public_key", "script"]);
    services.in_domain = false;
    services
}
