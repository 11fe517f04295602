//! What an exporter has exported last.

use uuid::Uuid;

use crate::db::{DbError, Executor, ExecutorExt, Sql};

/// The versions that the last export of an exporter had; none if there is no such export.
///
/// # Errors
/// If the database cannot be reached.
pub(crate) async fn last_exported<E: Executor + ?Sized>(executor: &E, exporter: Uuid) -> Result<Vec<Uuid>, DbError> {
    let sql = Sql::new(
        "select r.object_id from core_pulpexporter e join core_exportedresource r on r.export_id = e.last_export_id \
         where e.exporter_ptr_id = $1 and r.content_type = 'core.repositoryversion'",
    );
    executor.column(sql.bind(exporter)).await
}
