//! Serving: each key of a keyring as a file of its id.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::content::{Entry, Listing};
use crate::crypto::openpgp::{Key, Tag, enarmor, write_packet};
use crate::prelude::*;

/// What distributions of keyrings serve.
pub(super) struct Keyring;

#[async_trait]
impl DistributionHandler for Keyring {
    async fn handle(&self, cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError> {
        let db = cx.pulp.db();
        let distribution = cx.distribution;
        let version = match (distribution.repository_version_id, distribution.repository_id) {
            (Some(version), _) => RepositoryVersion::find(db, version).await,
            (None, Some(repository)) => RepositoryVersion::latest(db, repository).await,
            (None, None) => return Ok(Served::NotFound("the distribution points to no keyring".to_owned())),
        };
        let version = match version {
            Ok(version) => version,
            Err(Error::NotFound { .. }) => return Ok(Served::NotFound("the keyring is gone".to_owned())),
            Err(error) => return Err(error.into()),
        };
        if path.as_str().is_empty() {
            return Ok(Served::Listing(Listing::of_entries(entries(db, &version).await?)));
        }
        let nothing = || Served::NotFound(format!("the keyring has no key \"{path}\""));
        let Some(id) = path.as_str().strip_suffix(".pub").filter(|id| id.len() == 16) else { return Ok(nothing()) };
        let Some(bytes) = key(db, &version, &id.to_lowercase()).await? else { return Ok(nothing()) };
        let mut representation = Representation::named(path.as_str());
        representation.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/pgp-keys; charset=us-ascii"));
        Ok(Served::Bytes(ServedBytes::new(representation, enarmor(&bytes).trim_end().to_owned())))
    }
}

/// The part of a statement that leaves units out that are not in the version.
fn in_version(sql: &mut Sql, version: &RepositoryVersion, unit: &str) {
    sql.push(" and ").push(unit).push(" in (select rc.content_id from core_repositorycontent rc");
    Members::of(version).push_where(sql);
    sql.push(")");
}

async fn entries(db: &db::Db, version: &RepositoryVersion) -> Result<Vec<Entry>, ServeError> {
    let mut sql = Sql::new("select fingerprint from core_openpgppublickey where 1 = 1");
    in_version(&mut sql, version, "content_ptr_id");
    let fingerprints: Vec<String> = db.column(sql).await?;
    let name = |fingerprint: String| format!("{}.pub", Key { fingerprint, created: 0 }.id());
    Ok(fingerprints.into_iter().map(|fingerprint| Entry::file(name(fingerprint), None, None)).collect())
}

/// The packets of a key, with those of its parts that the version has.
async fn key(db: &db::Db, version: &RepositoryVersion, id: &str) -> Result<Option<Vec<u8>>, ServeError> {
    let mut sql = Sql::new("select content_ptr_id, raw_data from core_openpgppublickey where (substr(fingerprint, 25) = ");
    sql.push_bind(id).push(" and length(fingerprint) = 40 or substr(fingerprint, 1, 16) = ").push_bind(id);
    sql.push(" and length(fingerprint) = 64)");
    in_version(&mut sql, version, "content_ptr_id");
    sql.push(" limit 1");
    let Some((unit, raw)) = db.optional::<(Uuid, String)>(sql).await? else { return Ok(None) };
    let mut parts = vec![(Tag::PUBLIC_KEY, unit, raw)];
    for (tag, table) in [
        (Tag::USER_ID, "core_openpgpuserid"),
        (Tag::USER_ATTRIBUTE, "core_openpgpuserattribute"),
        (Tag::PUBLIC_SUBKEY, "core_openpgppublicsubkey"),
    ] {
        let mut sql = Sql::new(format!("select content_ptr_id, raw_data from {table} where public_key_id = "));
        sql.push_bind(unit);
        in_version(&mut sql, version, "content_ptr_id");
        sql.push(" order by content_ptr_id");
        parts.extend(db.all::<(Uuid, String)>(sql).await?.into_iter().map(|(id, raw)| (tag, id, raw)));
    }
    let mut sql = Sql::new("select signed_content_id, raw_data from core_openpgpsignature where signed_content_id in ");
    sql.push_list(parts.iter().map(|(_, id, _)| *id));
    in_version(&mut sql, version, "content_ptr_id");
    sql.push(" order by content_ptr_id");
    let signatures: Vec<(Uuid, String)> = db.all(sql).await?;
    let mut bytes = Vec::new();
    let mut write = |tag, raw: &str| -> Result<(), ServeError> {
        let body = BASE64.decode(raw).map_err(|error| ServeError::Internal(format!("a packet in the database is damaged: {error}")))?;
        write_packet(&mut bytes, tag, &body);
        Ok(())
    };
    for (tag, id, raw) in &parts {
        write(*tag, raw)?;
        for (_, signature) in signatures.iter().filter(|(signed, _)| signed == id) {
            write(Tag::SIGNATURE, signature)?;
        }
    }
    Ok(Some(bytes))
}
