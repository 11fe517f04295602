//! Applying migrations.

use std::time::Duration;

use pulp_migrations::{Migration, MigrationSet};

use super::{Db, DbError, Dialect, Executor, ExecutorExt, Sql, Tx};

/// Makes processes that migrate at the same time wait for each other; any number will do, as long as it stays.
const LOCK: i64 = 0x5075_6c70;

/// How often a step that found a table in use is tried again, and how long apart.
const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(200);

/// Brings the database up to date: applies, in order, what each set has and the database has not seen.
///
/// Returns the steps that were applied, as `component/name`. Several processes may call it at once, and others, of earlier releases
/// too, may be at work meanwhile: a step waits for a table that they use, but not so long that they would have to wait for it.
///
/// Steps that the database has seen and the sets do not have are those of a later release. They only add, so that this one can work
/// beside it, unless their name says that they [take something away](pulp_migrations::Migration::CONTRACT).
///
/// # Errors
/// [`DbError::Migration`] names the step that failed; that step leaves nothing behind, earlier ones stay. [`DbError::Newer`] if a later
/// release has taken away what this one needs.
pub async fn migrate(db: &Db, sets: &[MigrationSet]) -> Result<Vec<String>, DbError> {
    let mut done = Vec::new();
    for set in sets {
        for migration in set.migrations {
            let mut tries = 0;
            let applied = loop {
                match apply(db, set.component, migration).await {
                    Err(DbError::Migration { source, .. }) if matches!(*source, DbError::Retry(_)) && tries < TRIES => {
                        tries += 1;
                        tracing::info!(step = migration.name, error = %source, "the database is in use; trying again");
                        tokio::time::sleep(PAUSE).await;
                    }
                    ended => break ended?,
                }
            };
            if applied {
                done.push(format!("{}/{}", set.component, migration.name));
            }
        }
    }
    look_ahead(db, sets).await?;
    Ok(done)
}

/// Applies one step, unless the database has seen it.
async fn apply(db: &Db, component: &'static str, migration: &Migration) -> Result<bool, DbError> {
    let tx = db.begin().await?;
    if let Some(lock) = tx.dialect().advisory_lock() {
        tx.rows(Sql::new(lock).bind(LOCK)).await?;
    }
    ledger(&tx).await?;
    let seen = Sql::new("select count(*) from pulp_migration where component = $1 and name = $2").bind(component).bind(migration.name);
    if tx.scalar::<i64>(seen).await? > 0 {
        return Ok(false);
    }
    if let Some(limit) = tx.dialect().short_waits() {
        tx.execute(limit).await?;
    }
    let text = match tx.dialect() {
        Dialect::Postgres => migration.postgres,
        Dialect::Sqlite => migration.sqlite,
    };
    let failed = |source| DbError::Migration { component, name: migration.name.to_owned(), source: Box::new(source) };
    Db::script(&tx, text).await.map_err(failed)?;
    let note = Sql::new("insert into pulp_migration (component, name, applied) values ($1, $2, $3)");
    tx.execute(note.bind(component).bind(migration.name).bind(chrono::Utc::now())).await?;
    tx.commit().await?;
    Ok(true)
}

/// Looks at the steps of later releases.
async fn look_ahead(db: &Db, sets: &[MigrationSet]) -> Result<(), DbError> {
    let seen = seen(db).await?;
    let mut later = Vec::new();
    for (component, name) in seen {
        // A component that this process does not have does not concern it.
        let Some(set) = sets.iter().find(|set| set.component == component) else { continue };
        if set.migrations.iter().any(|migration| migration.name == name) {
            continue;
        }
        if name.ends_with(Migration::CONTRACT) {
            return Err(DbError::Newer { component, name });
        }
        later.push(format!("{component}/{name}"));
    }
    if !later.is_empty() {
        tracing::info!(steps = later.join(", "), "the database has steps of a later release; this one works beside it");
    }
    Ok(())
}

/// The steps that the database has seen, as `component/name`; none in a database that was never migrated.
///
/// # Errors
/// If the database cannot be reached.
pub async fn applied(db: &Db) -> Result<Vec<String>, DbError> {
    Ok(seen(db).await?.into_iter().map(|(component, name)| format!("{component}/{name}")).collect())
}

async fn seen(db: &Db) -> Result<Vec<(String, String)>, DbError> {
    let tx = db.begin().await?;
    if let Some(lock) = tx.dialect().advisory_lock() {
        tx.rows(Sql::new(lock).bind(LOCK)).await?;
    }
    ledger(&tx).await?;
    let rows = tx.all("select component, name from pulp_migration order by component, name").await?;
    tx.commit().await?;
    Ok(rows)
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
        let all: Vec<String> =
            sets.iter().flat_map(|set| set.migrations.iter().map(|step| format!("{}/{}", set.component, step.name))).collect();
        assert_eq!(migrate(&db, &sets).await.unwrap(), all);
        assert!(migrate(&db, &sets).await.unwrap().is_empty());
        assert_eq!(applied(&db).await.unwrap(), all);
        assert_eq!(db.scalar::<i64>("select count(*) from file_filecontent").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_a_later_release_added_is_no_obstacle_and_what_it_took_away_is() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite://{}/db", dir.path().display()), &DbOptions::default()).await.unwrap();
        let step = |name| Migration { name, postgres: "select 1", sqlite: "select 1" };
        let set = |component, migrations| MigrationSet { component, migrations };
        let (first, second, third) = (step("0001_initial"), step("0002_more"), step("0003_less_contract"));
        let ours = [first];
        migrate(&db, &[set("a", Box::leak(Box::new([first, second]))), set("b", Box::leak(Box::new([first, third])))]).await.unwrap();
        assert!(migrate(&db, &[set("a", &*Box::leak(Box::new(ours)))]).await.unwrap().is_empty());
        let error = migrate(&db, &[set("b", Box::leak(Box::new(ours)))]).await.unwrap_err().to_string();
        assert!(error.contains("b/0003_less_contract") && error.contains("a later release"), "{error}");
    }
}
