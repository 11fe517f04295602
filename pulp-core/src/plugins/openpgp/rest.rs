//! The REST resources of keyrings.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::json;

use super::KEYRING;
use super::parts::{Expiry, Parts, Signatures};
use super::save::save;
use crate::crypto::openpgp::Certificate;
use crate::prelude::*;
use crate::resource::{Compute, Shape};

const KEYS: &str = "content/core/openpgp_publickey";

/// The largest key that is taken, in bytes: one with many signatures and pictures.
const LARGEST: i64 = 4 << 20;

/// What a key is, as a field points to it.
const PUBLIC_KEY: Target = Target::CONTENT;

pub(super) fn register(registry: &mut Registry) {
    for (name, fields) in [
        ("NestedOpenPGPSignature", signature_fields()),
        ("NestedOpenPGPPublicSubkey", vec![fingerprint().required(), created().required(), signatures()]),
        ("NestedOpenPGPUserID", vec![Field::text("user_id").required(), signatures()]),
        ("NestedOpenPGPUserAttribute", vec![Field::text("sha256").required().max_length(128), signatures()]),
    ] {
        registry.component(name, fields);
    }
    registry.resource(keyring());
    registry.resource(public_key());
    let public_key_href = || Field::href("public_key", PUBLIC_KEY).read_only().help("The key that it belongs to.");
    registry.resource(
        part("content/core/openpgp_publicsubkey", &super::PUBLIC_SUBKEY, "OpenPGPPublicSubkey")
            .field(fingerprint().required())
            .field(created().required())
            .field(signatures())
            .field(public_key_href())
            .filter(text("fingerprint"))
            .ordered_by(["created", "fingerprint", "raw_data"]),
    );
    registry.resource(
        part("content/core/openpgp_userid", &super::USER_ID, "OpenPGPUserID")
            .field(Field::text("user_id").required().help("Name and address of the key's owner."))
            .field(signatures())
            .field(public_key_href())
            .filter(Filter::name("user_id").in_detail())
            .ordered_by(["raw_data", "user_id"]),
    );
    registry.resource(
        part("content/core/openpgp_userattribute", &super::USER_ATTRIBUTE, "OpenPGPUserAttribute")
            .field(Field::text("sha256").required().max_length(128).help("The digest of the attribute."))
            .field(signatures())
            .field(public_key_href())
            .filter(text("sha256"))
            .ordered_by(["raw_data", "sha256"]),
    );
    registry.resource(
        part("content/core/openpgp_signature", &super::SIGNATURE, "OpenPGPSignature")
            .fields(signature_fields())
            .field(Field::href("signed_content", Target::CONTENT).read_only().help("What it is about."))
            .filter(text("issuer"))
            .ordered_by([
                "created",
                "expiration_time",
                "issuer",
                "key_expiration_time",
                "raw_data",
                "sha256",
                "signature_type",
                "signers_user_id",
            ]),
    );
    registry.resource(distribution());
}

fn text(name: &'static str) -> Filter {
    Filter::new(name, FilterKind::Text, Lookup::EXACT).in_detail()
}

fn fingerprint() -> Field {
    Field::text("fingerprint").max_length(64).help("The fingerprint, in hexadecimal digits.")
}

fn created() -> Field {
    Field::time("created").help("When it was made.")
}

fn list_of(component: &'static str) -> Shape {
    Shape::List(Box::new(Shape::Component(component)))
}

fn signatures() -> Field {
    Field::computed("signatures", list_of("NestedOpenPGPSignatureResponse"), Signatures).help("Signatures over it.")
}

fn signature_fields() -> Vec<Field> {
    let expiry: Arc<dyn Compute> = Arc::new(Expiry);
    let span = |name| {
        let mut field = Field::computed_by(name, Shape::Text, Arc::clone(&expiry)).nullable();
        field.read_only = false;
        field
    };
    let mut expired = Field::computed_by("expired", Shape::Boolean, Arc::clone(&expiry)).required();
    expired.read_only = false;
    vec![
        Field::text("issuer").nullable().max_length(16).help("The id of the key that made it."),
        created().required(),
        span("expiration_time").help("How long it counts."),
        Field::text("signers_user_id").nullable().help("The name under which it was made."),
        span("key_expiration_time").help("How long the key counts."),
        expired.help("Whether it counts no more."),
        Field::computed_by("key_expired", Shape::Text, expiry).help("Whether the key counts no more."),
    ]
}

fn keyring() -> Resource {
    let mut keyring = Resource::repository("repositories/core/openpgp_keyring", "core.openpgp_keyring", "OpenPGPKeyring")
        .detail("core_openpgpkeyring", "repository_ptr_id")
        .action(bases::modify());
    keyring.versions = false;
    keyring
}

/// Units that only come with a key.
fn part(path: &'static str, kind: &'static ContentKind, schema: &'static str) -> Resource {
    let mut part = Resource::content(path, kind.pulp_type, schema, Nobody).detail(kind.table, "content_ptr_id");
    part.create = crate::resource::Create::No;
    part.labels = Some(200);
    part
}

/// Such units are not made by themselves.
struct Nobody;

#[async_trait]
impl ActionHandler for Nobody {
    async fn handle(&self, _: &Context, _: Option<Uuid>, _: Input) -> Result<Reply> {
        Err(Error::not_found("the end point"))
    }
}

fn public_key() -> Resource {
    let parts: Arc<dyn Compute> = Arc::new(Parts);
    Resource::content(KEYS, super::PUBLIC_KEY.pulp_type, "OpenPGPPublicKey", CreateKey)
        .made_by(MakeKey)
        .detail(super::PUBLIC_KEY.table, "content_ptr_id")
        .field(fingerprint().read_only())
        .field(created().read_only())
        .field(Field::computed_by("user_ids", list_of("NestedOpenPGPUserIDResponse"), Arc::clone(&parts)).help("Names of its owner."))
        .field(
            Field::computed_by("user_attributes", list_of("NestedOpenPGPUserAttributeResponse"), Arc::clone(&parts))
                .help("Pictures of its owner, say."),
        )
        .field(Field::computed_by("public_subkeys", list_of("NestedOpenPGPPublicSubkeyResponse"), parts).help("Its subkeys."))
        .fields(content_file::fields().into_iter().filter(|field| field.name != "artifact"))
        .field(Field::href("repository", Target::REPOSITORY).write_only().nowhere().help("A keyring to add the key to."))
        .field(Field::boolean("overwrite").write_only().nowhere().help("Whether the key may replace one of the keyring."))
        .filter(text("fingerprint"))
        .ordered_by(["created", "fingerprint", "raw_data"])
}

/// `POST` of a key: settles where its file comes from, and leaves the rest to a task.
struct CreateKey;

#[async_trait]
impl ActionHandler for CreateKey {
    async fn handle(&self, cx: &Context, _: Option<Uuid>, input: Input) -> Result<Reply> {
        let given = ["upload", "file_url"].iter().filter(|field| input.text(field).is_some()).count();
        if given + usize::from(input.has_file("file")) != 1 {
            return Err(Error::Refused(json!({"non_field_errors": ["Exactly one of file, upload, file_url must be specified."]})));
        }
        content_file::create(cx, super::PUBLIC_KEY.pulp_type, KEYS, input).await
    }
}

/// The task’s part.
struct MakeKey;

#[async_trait]
impl Make for MakeKey {
    async fn make(&self, task: &TaskContext, cx: &Context, input: Input) -> Result<Uuid> {
        let artifact = content_file::artifact(cx, &input).await?;
        if artifact.size > LARGEST {
            return Err(Error::BadRequest(format!("A public key has at most {LARGEST} bytes.")));
        }
        let path = artifact.file.parse().map_err(|_| Error::Internal(format!("the artifact {} has no path", artifact.pulp_id)))?;
        let mut body = cx.pulp().storage().open(&path, None).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        let read = Certificate::read(&bytes).map_err(|error| Error::BadRequest(error.to_string()))?;
        let saved = save(cx.pulp(), cx.domain().pulp_id, &read).await?;
        if let Some(labels) = input.get("pulp_labels") {
            let sql = Sql::new("update core_content set pulp_labels = $2 where pulp_id = $1");
            cx.pulp().db().execute(sql.bind(saved.key).bind(labels.clone())).await?;
        }
        if let Some(keyring) = input.id("repository") {
            let overwrite = input.boolean("overwrite").unwrap_or(true);
            AddAndRemove { overwrite, ..AddAndRemove::new(Prn::new(KEYRING, keyring)).with(saved.all) }.apply(task).await?;
        }
        Ok(saved.key)
    }
}

fn distribution() -> Resource {
    let mut distribution = Resource::distribution("distributions/core/openpgp", "core.openpgp", "OpenPGPDistribution")
        .field(bases::repository())
        .field(bases::repository_version())
        .detail("core_openpgpdistribution", "distribution_ptr_id");
    distribution.filters.retain(|filter| filter.name == "with_content");
    distribution.roles = false;
    distribution.filter(Filter::href("repository_version", Target::REPOSITORY_VERSION, Lookup::EXACT))
}
