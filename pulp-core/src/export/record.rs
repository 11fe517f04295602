//! The rows of an export.

use serde_json::Value as Json;
use uuid::Uuid;

use crate::Result;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql, Value, rows_per_statement};
use crate::ids::{Prn, new_id};
use crate::tasks::{Created, TaskContext};

/// Which of the two kinds an export is.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExportKind {
    /// The type’s own table.
    pub(super) table: &'static str,
    /// The model’s label in PRNs.
    pub(super) model: &'static str,
    /// Where its exporters lie.
    pub(super) exporters: &'static str,
}

/// Notes that a task exports, before it has exported anything; the key of the export.
///
/// # Errors
/// If the database cannot be reached, or the exporter is gone.
pub(super) async fn begin(cx: &TaskContext, kind: ExportKind, exporter: Uuid, params: Json) -> Result<Uuid> {
    let (id, now) = (new_id(), cx.pulp().now());
    let tx = cx.pulp().db().begin().await?;
    let sql = Sql::new(
        "insert into core_export (pulp_id, pulp_created, pulp_last_updated, params, exporter_id, task_id, pulp_domain_id) \
         values ($1, $2, $2, $3, $4, $5, $6)",
    );
    tx.execute(sql.bind(id).bind(now).bind(params).bind(exporter).bind(cx.id()).bind(cx.domain().pulp_id)).await?;
    tx.execute(Sql::new(format!("insert into {} (export_ptr_id) values ($1)", kind.table)).bind(id)).await?;
    tx.commit().await?;
    let exporter = cx.pulp().hrefs().object(&cx.domain().name, kind.exporters, exporter);
    cx.created(Created { prn: Prn::new(kind.model, id), href: format!("{exporter}exports/{id}/") });
    Ok(id)
}

/// Notes what an export has exported: models and keys.
///
/// # Errors
/// If the database cannot be reached.
pub(super) async fn exported<E: Executor + ?Sized>(
    executor: &E,
    export: Uuid,
    objects: &[(&str, Uuid)],
    now: Timestamp,
) -> Result<(), DbError> {
    for some in objects.chunks(rows_per_statement(6)) {
        let mut sql = Sql::new(
            "insert into core_exportedresource (pulp_id, pulp_created, pulp_last_updated, object_id, content_type, export_id) values ",
        );
        sql.push_rows(
            some.iter()
                .map(|(model, id)| -> [Value; 6] { [new_id().into(), now.into(), now.into(), id.into(), (*model).into(), export.into()] }),
        );
        executor.execute(sql).await?;
    }
    Ok(())
}
