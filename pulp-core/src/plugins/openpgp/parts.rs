//! What the units of a key show of each other.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde_json::{Value as Json, json};

use crate::clock::to_wire;
use crate::prelude::*;
use crate::resource::{Compute, Record};

/// Names, pictures and subkeys of a key, with their signatures.
pub(super) struct Parts;

/// Signatures over a unit.
pub(super) struct Signatures;

/// What a signature says of time.
pub(super) struct Expiry;

/// Signatures by what they are about.
async fn signatures(cx: &Context, of: &[Uuid]) -> Result<HashMap<Uuid, Vec<Json>>> {
    let mut found: HashMap<Uuid, Vec<Json>> = HashMap::new();
    for some in of.chunks(1_000) {
        let mut sql = Sql::new(
            "select s.signed_content_id, s.issuer, s.created, s.expiration_time, s.key_expiration_time, s.signers_user_id, \
             coalesce(k.created, sub.created) as key_created, case when sub.content_ptr_id is null then 0 else 1 end as of_subkey \
             from core_openpgpsignature s left join core_openpgppublicsubkey sub on sub.content_ptr_id = s.signed_content_id \
             left join core_openpgppublickey k on k.content_ptr_id = s.signed_content_id where s.signed_content_id in ",
        );
        sql.push_list(some).push(" order by s.content_ptr_id");
        for row in cx.pulp().db().all::<SignatureRow>(sql).await? {
            found.entry(row.signed_content_id).or_default().push(row.shown(cx.pulp().now()));
        }
    }
    Ok(found)
}

#[derive(sqlx::FromRow)]
struct SignatureRow {
    signed_content_id: Uuid,
    issuer: Option<String>,
    created: Timestamp,
    expiration_time: Option<i64>,
    key_expiration_time: Option<i64>,
    signers_user_id: Option<String>,
    key_created: Option<Timestamp>,
    of_subkey: i32,
}

impl SignatureRow {
    fn expired(&self, now: Timestamp) -> Option<bool> {
        self.expiration_time.map(|seconds| is_over(self.created, seconds, now))
    }

    /// Subkeys that never expire say so.
    fn key_expired(&self, now: Timestamp) -> Option<bool> {
        match (self.key_created, self.key_expiration_time) {
            (Some(created), Some(seconds)) => Some(is_over(created, seconds, now)),
            _ => (self.of_subkey == 1).then_some(false),
        }
    }

    fn shown(&self, now: Timestamp) -> Json {
        json!({
            "issuer": self.issuer,
            "created": to_wire(self.created),
            "expiration_time": self.expiration_time.map(duration),
            "signers_user_id": self.signers_user_id,
            "key_expiration_time": self.key_expiration_time.map(duration),
            "expired": self.expired(now),
            "key_expired": self.key_expired(now),
        })
    }
}

fn is_over(from: Timestamp, seconds: i64, now: Timestamp) -> bool {
    TimeDelta::try_seconds(seconds).and_then(|span| from.checked_add_signed(span)).is_some_and(|end| end < now)
}

/// As Pulp writes spans of time: `3 04:05:06`.
fn duration(seconds: i64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    if days == 0 { clock } else { format!("{days} {clock}") }
}

#[async_trait]
impl Compute for Parts {
    async fn compute(&self, cx: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            columns.push(parts(cx, field, rows).await?);
        }
        Ok(rows
            .iter()
            .map(|row| columns.iter_mut().map(|column| Json::Array(column.remove(&row.id()).unwrap_or_default())).collect())
            .collect())
    }
}

/// The parts of one kind, by their keys’ units.
async fn parts(cx: &Context, field: &str, rows: &[Record]) -> Result<HashMap<Uuid, Vec<Json>>> {
    let (table, name, created) = match field {
        "user_ids" => ("core_openpgpuserid", "user_id", None),
        "user_attributes" => ("core_openpgpuserattribute", "sha256", None),
        _ => ("core_openpgppublicsubkey", "fingerprint", Some("created")),
    };
    let moment = created.unwrap_or("(select pulp_created from core_content where pulp_id = content_ptr_id)");
    let mut sql = Sql::new(format!("select content_ptr_id, public_key_id, {name}, {moment} from {table} where public_key_id in "));
    sql.push_list(rows.iter().map(Record::id)).push(" order by content_ptr_id");
    let found: Vec<(Uuid, Uuid, String, Timestamp)> = cx.pulp().db().all(sql).await?;
    let ids: Vec<Uuid> = found.iter().map(|(id, ..)| *id).collect();
    let mut signed = signatures(cx, &ids).await?;
    let mut of: HashMap<Uuid, Vec<Json>> = HashMap::new();
    for (id, key, value, moment) in found {
        let mut part = json!({ name: value });
        if let Some(created) = created {
            part[created] = json!(to_wire(moment));
        }
        part["signatures"] = Json::Array(signed.remove(&id).unwrap_or_default());
        of.entry(key).or_default().push(part);
    }
    Ok(of)
}

#[async_trait]
impl Compute for Signatures {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let ids: Vec<Uuid> = rows.iter().map(Record::id).collect();
        let mut found = signatures(cx, &ids).await?;
        Ok(ids.iter().map(|id| vec![Json::Array(found.remove(id).unwrap_or_default())]).collect())
    }
}

#[async_trait]
impl Compute for Expiry {
    async fn compute(&self, cx: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new(
            "select s.content_ptr_id as signed_content_id, s.issuer, s.created, s.expiration_time, s.key_expiration_time, \
             s.signers_user_id, coalesce(k.created, sub.created) as key_created, \
             case when sub.content_ptr_id is null then 0 else 1 end as of_subkey \
             from core_openpgpsignature s left join core_openpgppublicsubkey sub on sub.content_ptr_id = s.signed_content_id \
             left join core_openpgppublickey k on k.content_ptr_id = s.signed_content_id where s.content_ptr_id in ",
        );
        sql.push_list(rows.iter().map(Record::id));
        let found: Vec<SignatureRow> = cx.pulp().db().all(sql).await?;
        let of: HashMap<Uuid, &SignatureRow> = found.iter().map(|row| (row.signed_content_id, row)).collect();
        let now = cx.pulp().now();
        let value = |row: &SignatureRow, field: &str| match field {
            "expiration_time" => json!(row.expiration_time.map(duration)),
            "key_expiration_time" => json!(row.key_expiration_time.map(duration)),
            "expired" => json!(row.expired(now)),
            _ => json!(row.key_expired(now)),
        };
        Ok(rows
            .iter()
            .map(|row| fields.iter().map(|field| of.get(&row.id()).map_or(Json::Null, |found| value(found, field))).collect())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn spans_are_written_as_pulp_does() {
        for (seconds, text) in
            [(0, "00:00:00"), (60, "00:01:00"), (86_399, "23:59:59"), (86_400, "1 00:00:00"), (63_072_001, "730 00:00:01")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
