//! Rows that name other rows, where no foreign key watches over them.

use std::collections::{BTreeMap, BTreeSet};

use pulp_core::db::{Dialect, Executor, ExecutorExt};
use uuid::Uuid;

use super::Findings;
use super::reader::Reader;

/// Table, its key, the column that names, and what it names: table and key.
type Reference = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// What has no foreign key. A test below compares it with the schema.
pub(super) const REFERENCES: &[Reference] = &[
    ("core_contentartifact", "pulp_id", "artifact_id", "core_artifact", "pulp_id"),
    ("core_contentartifact", "pulp_id", "content_id", "core_content", "pulp_id"),
    ("core_remoteartifact", "pulp_id", "content_artifact_id", "core_contentartifact", "pulp_id"),
    ("core_remoteartifact", "pulp_id", "remote_id", "core_remote", "pulp_id"),
    ("core_remoteartifact", "pulp_id", "pulp_domain_id", "core_domain", "pulp_id"),
    ("core_repositorycontent", "pulp_id", "content_id", "core_content", "pulp_id"),
    ("core_repositorycontent", "pulp_id", "repository_id", "core_repository", "pulp_id"),
    ("core_repositorycontent", "pulp_id", "version_added_id", "core_repositoryversion", "pulp_id"),
    ("core_repositorycontent", "pulp_id", "version_removed_id", "core_repositoryversion", "pulp_id"),
    ("core_repositoryversion", "pulp_id", "base_version_id", "core_repositoryversion", "pulp_id"),
    ("core_publishedartifact", "pulp_id", "content_artifact_id", "core_contentartifact", "pulp_id"),
    ("core_publishedmetadata", "content_ptr_id", "content_ptr_id", "core_content", "pulp_id"),
    ("core_domain", "pulp_id", "default_content_guard_id", "core_contentguard", "pulp_id"),
    ("core_vulnerabilityreport", "pulp_id", "content_id", "core_content", "pulp_id"),
    ("core_openpgppublickey", "content_ptr_id", "content_ptr_id", "core_content", "pulp_id"),
    ("core_openpgppublickey", "content_ptr_id", "_pulp_domain_id", "core_domain", "pulp_id"),
    ("core_openpgppublicsubkey", "content_ptr_id", "content_ptr_id", "core_content", "pulp_id"),
    ("core_openpgppublicsubkey", "content_ptr_id", "public_key_id", "core_openpgppublickey", "content_ptr_id"),
    ("core_openpgppublicsubkey", "content_ptr_id", "_pulp_domain_id", "core_domain", "pulp_id"),
    ("core_openpgpuserid", "content_ptr_id", "content_ptr_id", "core_content", "pulp_id"),
    ("core_openpgpuserid", "content_ptr_id", "public_key_id", "core_openpgppublickey", "content_ptr_id"),
    ("core_openpgpuserid", "content_ptr_id", "_pulp_domain_id", "core_domain", "pulp_id"),
    ("core_openpgpuserattribute", "content_ptr_id", "content_ptr_id", "core_content", "pulp_id"),
    ("core_openpgpuserattribute", "content_ptr_id", "public_key_id", "core_openpgppublickey", "content_ptr_id"),
    ("core_openpgpuserattribute", "content_ptr_id", "_pulp_domain_id", "core_domain", "pulp_id"),
    ("core_openpgpsignature", "content_ptr_id", "content_ptr_id", "core_content", "pulp_id"),
    ("core_openpgpsignature", "content_ptr_id", "signed_content_id", "core_content", "pulp_id"),
    ("core_openpgpsignature", "content_ptr_id", "_pulp_domain_id", "core_domain", "pulp_id"),
    ("file_filecontent", "content_ptr_id", "content_ptr_id", "core_content", "pulp_id"),
    ("file_filecontent", "content_ptr_id", "_pulp_domain_id", "core_domain", "pulp_id"),
    ("pulp_importedunit", "task_id", "content_id", "core_content", "pulp_id"),
    ("pulp_exportedartifact", "export_id", "artifact_id", "core_artifact", "pulp_id"),
];

/// Columns that keep the key of what may be gone, or is elsewhere.
#[cfg(test)]
const EXEMPT: &[(&str, &str)] = &[
    // Of another Pulp.
    ("core_content", "upstream_id"),
    ("pulp_importedunit", "upstream_id"),
    // Records of what was.
    ("core_auditrecord", "token_id"),
    ("core_createdresource", "object_id"),
    ("core_exportedresource", "object_id"),
    ("core_scrub", "reached"),
    ("core_scrub", "task_id"),
    ("core_scrubfinding", "artifact_id"),
    // A journal of what was let go of, and may be gone by now.
    ("core_releasedartifact", "artifact_id"),
    ("core_releasedartifact", "pulp_domain_id"),
    ("core_releasedcontent", "content_id"),
    ("core_releasedcontent", "pulp_domain_id"),
    // Any kind of object; checked by itself.
    ("core_userrole", "object_id"),
    ("core_grouprole", "object_id"),
    // See the tasks.
    ("core_task", "app_lock_id"),
];

/// Tables of which a type's own table has the rest of each row, the column there, and which of them need no such row.
const BASES: &[(&str, &str, &str)] = &[
    // Of a publication that is gone: its metadata stay until the next orphan cleanup.
    ("core_content", "content_ptr_id", "pulp_type <> 'core.publishedmetadata'"),
    ("core_repository", "repository_ptr_id", ""),
    // One that was deleted, and is kept for its sources.
    ("core_remote", "remote_ptr_id", "deleted_at is null"),
    // Its detail row makes it complete.
    ("core_publication", "publication_ptr_id", "complete"),
    ("core_distribution", "distribution_ptr_id", ""),
    ("core_contentguard", "contentguard_ptr_id", ""),
    ("core_alternatecontentsource", "alternatecontentsource_ptr_id", ""),
    ("core_exporter", "exporter_ptr_id", ""),
    ("core_export", "export_ptr_id", ""),
    ("core_importer", "importer_ptr_id", ""),
    ("core_import", "import_ptr_id", ""),
];

/// Rules of single rows: what is broken, a name, and a statement that gives the keys of those that break it.
const RULES: &[(&str, &str, &str)] = &[
    (
        "a file can be had from nowhere",
        "core_contentartifact",
        "select file.pulp_id from core_contentartifact file where file.artifact_id is null \
         and not exists (select 1 from core_remoteartifact source where source.content_artifact_id = file.pulp_id)",
    ),
    (
        "a file lies in another domain than its unit",
        "core_contentartifact",
        "select file.pulp_id from core_contentartifact file join core_artifact artifact on artifact.pulp_id = file.artifact_id \
         join core_content content on content.pulp_id = file.content_id where artifact.pulp_domain_id <> content.pulp_domain_id",
    ),
    (
        "published metadata has no file",
        "core_publishedmetadata",
        "select metadata.content_ptr_id from core_publishedmetadata metadata where not exists (select 1 from core_contentartifact file \
         where file.content_id = metadata.content_ptr_id and file.artifact_id is not null)",
    ),
    (
        "a unit has no file",
        "file_filecontent",
        "select unit.content_ptr_id from file_filecontent unit where not exists (select 1 from core_contentartifact file \
         where file.content_id = unit.content_ptr_id and file.relative_path = unit.relative_path)",
    ),
    (
        "a unit has another file than it says",
        "file_filecontent",
        "select unit.content_ptr_id from file_filecontent unit join core_contentartifact file on file.content_id = unit.content_ptr_id \
         join core_artifact artifact on artifact.pulp_id = file.artifact_id where artifact.sha256 <> unit.digest",
    ),
    (
        "a unit is in two domains",
        "file_filecontent",
        "select unit.content_ptr_id from file_filecontent unit join core_content content on content.pulp_id = unit.content_ptr_id \
         where content.pulp_domain_id <> unit._pulp_domain_id",
    ),
];

pub(super) async fn check(db: &Reader, findings: &mut Findings) {
    for (table, key, column, target, target_key) in REFERENCES {
        let sql = format!(
            "select source.{key}, source.{column} from {table} source where source.{column} is not null \
             and not exists (select 1 from {target} target where target.{target_key} = source.{column})"
        );
        for (row, named) in db.all::<(Uuid, Uuid)>(sql.as_str()).await.expect("references") {
            findings
                .add("a row names one that is not there", format!("{table} {row}: its {column} is {named}, of which {target} has none"));
        }
    }
    details(db, findings).await;
    for (rule, name, sql) in RULES {
        findings.rows(db, rule, name, *sql).await;
    }
    content_counts(db, findings).await;
    roles(db, findings).await;
    if db.dialect() == Dialect::Sqlite {
        for row in db.rows("pragma foreign_key_check".into()).await.expect("a pragma") {
            let (table, parent): (String, String) = (row.at(0).expect("a table"), row.at(2).expect("a table"));
            findings.add("a foreign key leads nowhere", format!("a row of {table} names one that {parent} has not"));
        }
        for said in db.column::<String>("pragma integrity_check").await.expect("a pragma") {
            if said != "ok" {
                findings.add("the database is damaged", said);
            }
        }
    }
}

/// The tables and their columns that hold keys.
pub(super) async fn columns(db: &Reader) -> BTreeSet<(String, String)> {
    let sql = match db.dialect() {
        Dialect::Sqlite => {
            "select m.name, p.name from sqlite_master m join pragma_table_info(m.name) p where m.type = 'table' and lower(p.type) = 'blob'"
        }
        Dialect::Postgres => {
            "select cast(table_name as text), cast(column_name as text) from information_schema.columns \
             where table_schema = current_schema() and udt_name = 'uuid'"
        }
    };
    db.all::<(String, String)>(sql).await.expect("the schema").into_iter().collect()
}

/// A base row has one row of its type's table, and the reverse.
async fn details(db: &Reader, findings: &mut Findings) {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in columns(db).await.into_iter().filter(|(_, column)| column.ends_with("_ptr_id")) {
        tables.entry(column).or_default().push(table);
    }
    for (base, pointer, wanted) in BASES {
        let tables = tables.remove(*pointer).unwrap_or_default();
        let all: Vec<String> = tables.iter().map(|table| format!("select {pointer} as id from {table}")).collect();
        let all = all.join(" union all ");
        let wanted = if wanted.is_empty() { String::new() } else { format!(" and {wanted}") };
        let none = format!("select pulp_id from {base} where pulp_id not in ({all}){wanted}");
        findings.rows(db, "a row has no row of its type", base, none.as_str()).await;
        let several = format!("select id from ({all}) details group by id having count(*) > 1");
        findings.rows(db, "a row has several rows of types", base, several.as_str()).await;
        for table in tables {
            let alone = format!("select {pointer} from {table} where {pointer} not in (select pulp_id from {base})");
            findings.rows(db, "a row of a type has no base row", &table, alone.as_str()).await;
        }
    }
}

/// As many units are counted as there are.
async fn content_counts(db: &Reader, findings: &mut Findings) {
    let units = "select pulp_domain_id, pulp_type, units as counted, 0 as there from core_contentcount \
                 union all select pulp_domain_id, pulp_type, 0, 1 from core_content";
    let sql = format!(
        "select pulp_domain_id, pulp_type, cast(sum(counted) as bigint), cast(sum(there) as bigint) from ({units}) units \
         group by pulp_domain_id, pulp_type having sum(counted) <> sum(there)"
    );
    for (domain, kind, counted, there) in db.all::<(Uuid, String, i64, i64)>(sql).await.expect("the counts of units") {
        findings.add("units are counted wrong", format!("{counted} of {kind} in domain {domain}, which has {there}"));
    }
}

/// What a role was given on is there. Users and groups have numbers, not keys.
async fn roles(db: &Reader, findings: &mut Findings) {
    let mut objects: Vec<String> = columns(db)
        .await
        .into_iter()
        .filter(|(_, column)| column == "pulp_id")
        .map(|(table, _)| format!("select pulp_id from {table}"))
        .collect();
    objects.sort();
    let objects = objects.join(" union all ");
    for table in ["core_userrole", "core_grouprole"] {
        let sql = format!(
            "select given.pulp_id from {table} given join django_content_type kind on kind.id = given.content_type_id \
             where given.object_id is not null and kind.app_label <> 'auth' and kind.model not in ('user', 'group') and given.object_id not in ({objects})"
        );
        findings.rows(db, "a role is given on what is not there", table, sql.as_str()).await;
    }
}

#[cfg(test)]
mod tests {
    use pulp_migrations::{CERTGUARD, CORE, FILE};

    use super::*;
    use crate::{Engine, TestDatabase};

    /// Whoever adds a column that names a row, without a foreign key, says here what it names.
    #[tokio::test]
    async fn every_column_that_names_a_row_is_known() {
        let database = TestDatabase::migrated(Engine::Sqlite, &[CORE, CERTGUARD, FILE]).await.unwrap();
        let db = Reader::open(&database.url()).await;
        let keys = "select m.name, k.\"from\" from sqlite_master m join pragma_foreign_key_list(m.name) k where m.type = 'table'";
        let watched: BTreeSet<(String, String)> = db.all::<(String, String)>(keys).await.unwrap().into_iter().collect();
        let named = |(table, column): &(String, String)| {
            REFERENCES.iter().any(|known| known.0 == table && known.2 == column) || EXEMPT.contains(&(table.as_str(), column.as_str()))
        };
        let unknown: Vec<_> = columns(&db).await.into_iter().filter(|column| column.1 != "pulp_id" && !watched.contains(column)).collect();
        let unknown: Vec<_> = unknown.into_iter().filter(|column| !named(column)).collect();
        assert_eq!(unknown, []);
        for (base, pointer, _) in BASES {
            assert!(columns(&db).await.iter().any(|(_, column)| column == pointer), "{base} has no tables of types");
        }
    }
}
