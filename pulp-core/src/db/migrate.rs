//! Applying migrations.

use pulp_migrations::MigrationSet;

use super::{Db, DbError, Dialect, Executor, ExecutorExt, Sql, Tx};

/// Makes processes that migrate at the same time wait for each other; any number will do, as long as it stays.
const LOCK: i64 = 0x5075_6c70;

/// Brings the database up to date: applies, in order, what each set has and the database has not seen.
///
/// Returns the steps that were applied, as `component/name`. Several processes may call it at once.
///
/// # Errors
/// [`DbError::Migration`] names the step that failed; that step leaves nothing behind, earlier ones stay.
pub async fn migrate(db: &Db, sets: &[MigrationSet]) -> Result<Vec<String>, DbError> {
    let mut done = Vec::new();
    for set in sets {
        for migration in set.migrations {
            let tx = db.begin().await?;
            if let Some(lock) = tx.dialect().advisory_lock() {
                tx.rows(Sql::new(lock).bind(LOCK)).await?;
            }
            ledger(&tx).await?;
            let seen: i64 = tx
                .scalar(
                    Sql::new("select count(*) from pulp_migration where component = $1 and name = $2")
                        .bind(set.component)
                        .bind(migration.name),
                )
                .await?;
            if seen == 0 {
                let text = match tx.dialect() {
                    Dialect::Postgres => migration.postgres,
                    Dialect::Sqlite => migration.sqlite,
                };
                let failed =
                    |source| DbError::Migration { component: set.component, name: migration.name.to_owned(), source: Box::new(source) };
                Db::script(&tx, text).await.map_err(failed)?;
                tx.execute(
                    Sql::new("insert into pulp_migration (component, name, applied) values ($1, $2, $3)")
                        .bind(set.component)
                        .bind(migration.name)
                        .bind(chrono::Utc::now()),
                )
                .await?;
                done.push(format!("{}/{}", set.component, migration.name));
            }
            tx.commit().await?;
        }
    }
    Ok(done)
}

/// The steps that the database has seen, as `component/name`; none in a database that was never migrated.
///
/// # Errors
/// If the database cannot be reached.
pub async fn applied(db: &Db) -> Result<Vec<String>, DbError> {
    let tx = db.begin().await?;
    ledger(&tx).await?;
    let rows: Vec<(String, String)> = tx.all("select component, name from pulp_migration order by component, name").await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(|(component, name)| format!("{component}/{name}")).collect())
}

async fn ledger(tx: &Tx) -> Result<(), DbError> {
    let moment = match tx.dialect() {
        Dialect::Postgres => "timestamptz",
        Dialect::Sqlite => "datetime",
    };
    tx.execute(format!(
        "create table if not exists pulp_migration (component text not null, name text not null, applied {moment} not null, primary key (component, name))"
    ))
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::DbOptions;

    #[tokio::test]
    async fn each_step_is_applied_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite://{}/db", dir.path().display()), &DbOptions::default()).await.unwrap();
        let sets = [pulp_migrations::CORE, pulp_migrations::FILE];
        assert_eq!(migrate(&db, &sets).await.unwrap(), ["core/0001_initial", "core/0003_access", "core/0004_moving", "file/0001_initial"]);
        assert!(migrate(&db, &sets).await.unwrap().is_empty());
        assert_eq!(applied(&db).await.unwrap(), ["core/0001_initial", "core/0003_access", "core/0004_moving", "file/0001_initial"]);
        assert_eq!(db.scalar::<i64>("select count(*) from file_filecontent").await.unwrap(), 0);
    }
}
