//! OpenPGP keyrings: repositories of public keys, each key with its names, pictures, subkeys and signatures as units of their own, so
//! that a keyring can have some of them. They belong to the core, as they do in Pulp.

mod parts;
mod rest;
mod save;
mod serve;

use crate::prelude::*;

/// The types of units.
pub static PUBLIC_KEY: ContentKind = ContentKind {
    pulp_type: "core.openpgp_publickey",
    table: "core_openpgppublickey",
    columns: &["fingerprint", "raw_data", "created"],
    key: &["fingerprint"],
};
/// A subkey.
pub static PUBLIC_SUBKEY: ContentKind = ContentKind {
    pulp_type: "core.openpgp_publicsubkey",
    table: "core_openpgppublicsubkey",
    columns: &["public_key_id", "fingerprint", "raw_data", "created"],
    key: &["public_key_id", "fingerprint"],
};
/// A name of a key’s owner.
pub static USER_ID: ContentKind = ContentKind {
    pulp_type: "core.openpgp_userid",
    table: "core_openpgpuserid",
    columns: &["public_key_id", "user_id", "raw_data"],
    key: &["public_key_id", "user_id"],
};
/// A picture of a key’s owner, say.
pub static USER_ATTRIBUTE: ContentKind = ContentKind {
    pulp_type: "core.openpgp_userattribute",
    table: "core_openpgpuserattribute",
    columns: &["public_key_id", "sha256", "raw_data"],
    key: &["public_key_id", "sha256"],
};
/// A signature over one of the others.
pub static SIGNATURE: ContentKind = ContentKind {
    pulp_type: "core.openpgp_signature",
    table: "core_openpgpsignature",
    columns: &[
        "signed_content_id",
        "sha256",
        "raw_data",
        "signature_type",
        "created",
        "expiration_time",
        "key_expiration_time",
        "issuer",
        "signers_user_id",
    ],
    key: &["signed_content_id", "sha256"],
};

/// The model’s label in PRNs.
const KEYRING: &str = "core.openpgpkeyring";

/// Adds all of it.
pub(crate) fn register(registry: &mut Registry) {
    for kind in [&PUBLIC_KEY, &PUBLIC_SUBKEY, &USER_ID, &USER_ATTRIBUTE, &SIGNATURE] {
        registry.content(kind);
    }
    registry.repository(Rules);
    registry.distribution("core.openpgp", serve::Keyring);
    rest::register(registry);
}

/// Keyrings have no rules of their own.
struct Rules;

impl RepositoryType for Rules {
    fn pulp_type(&self) -> &'static str {
        "core.openpgp_keyring"
    }

    fn model(&self) -> &'static str {
        KEYRING
    }

    fn collection(&self) -> &'static str {
        "repositories/core/openpgp_keyring"
    }

    fn unit_types(&self) -> &'static [&'static str] {
        &[
            "core.openpgp_publickey",
            "core.openpgp_publicsubkey",
            "core.openpgp_userid",
            "core.openpgp_userattribute",
            "core.openpgp_signature",
        ]
    }
}
