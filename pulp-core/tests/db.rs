//! The pool: transactions whose caller goes away while they begin, notifications, and the end.

use std::time::Duration;

use futures::poll;
use pulp_core::clock::Timestamp;
use pulp_core::db::{Db, DbError, DbOptions, Executor, ExecutorExt, Insert, Value, migrate};
use pulp_migrations::{CORE, Migration, MigrationSet};
use pulp_testkit::{Engine, TestDatabase, both_databases};
use serde_json::json;
use uuid::Uuid;

both_databases! {
    async fn a_caller_that_goes_away_leaves_no_transaction_open(database: TestDatabase) {
        let mut options = DbOptions::default();
        options.max_connections = 1;
        let db = Db::open(&database.url(), &options).await.unwrap();
        db.execute("create table note (text text)").await.unwrap();
        for polls in 0..6 {
            {
                let mut begin = std::pin::pin!(db.begin());
                for _ in 0..polls {
                    if poll!(begin.as_mut()).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            // With one connection, this would be written inside whatever was left open, and taken back with it.
            db.execute("insert into note values ('kept')").await.unwrap();
            drop(db.begin().await.unwrap());
            let kept: i64 = db.scalar("select count(*) from note").await.unwrap();
            assert_eq!(kept, polls + 1);
        }
    }

    async fn listening_takes_no_connection_from_the_pool_and_ends_with_it(database: TestDatabase) {
        let mut options = DbOptions::default();
        options.max_connections = 1;
        options.acquire_timeout = Duration::from_secs(5);
        let db = Db::open(&database.url(), &options).await.unwrap();
        let mut notifications = db.notifications();
        // A listener tells of notifications that it may have missed once it listens, on PostgreSQL; then of ours.
        let received = async {
            loop {
                db.notify("note", "said").await.unwrap();
                match tokio::time::timeout(Duration::from_millis(200), notifications.recv()).await {
                    Ok(Ok(notification)) if notification.channel == "note" => break notification.payload,
                    _ => {}
                }
            }
        };
        assert_eq!(tokio::time::timeout(Duration::from_secs(20), received).await.expect("a notification"), "said");
        let closed = tokio::time::timeout(Duration::from_secs(10), db.close()).await;
        assert!(closed.is_ok(), "the pool waits for the listener's connection");
    }

    async fn rows_of_every_kind_are_inserted_however_many(database: TestDatabase) {
        let db = database.open().await;
        let columns = "yes boolean, number bigint primary key, part double precision, text text, key uuid, moment timestamptz, said jsonb";
        db.execute(format!("create table note ({columns})")).await.unwrap();
        let moment: Timestamp = "2026-11-27T08:09:10.123456Z".parse().unwrap();
        let row = |number: i64| -> [Value; 7] {
            let there = number % 3 != 1;
            [
                there.then_some(number % 2 == 0).into(),
                number.into(),
                there.then_some(number as f64 / 4.0).into(),
                there.then(|| format!("'{number}\\, {{\"ä\" NULL")).into(),
                there.then(|| Uuid::from_u128(number as u128)).into(),
                there.then_some(moment).into(),
                there.then(|| json!({"is": [number, null, "{\""]})).into(),
            ]
        };
        let table = "note (yes, number, part, text, key, moment, said)";
        assert_eq!(db.insert(Insert::into(table)).await.unwrap(), 0);
        assert_eq!(db.insert(Insert::into(table).rows([row(0)])).await.unwrap(), 1);
        let tx = db.begin().await.unwrap();
        // More than either database takes at once.
        assert_eq!(tx.insert(Insert::into(table).rows((1..12_000).map(row))).await.unwrap(), 11_999);
        let again = Insert::into(table).then("on conflict (number) do nothing").rows((11_990..12_002).map(row));
        assert_eq!(tx.insert(again).await.unwrap(), 2);
        tx.commit().await.unwrap();
        assert_eq!(db.scalar::<i64>("select count(*) from note where text is not null").await.unwrap(), 8_001);
        type Read = (Option<bool>, Option<f64>, Option<String>, Option<Uuid>, Option<Timestamp>, Option<sqlx::types::Json<serde_json::Value>>);
        for number in [0, 1, 2, 4_999, 5_000, 5_001, 12_000] {
            let sql = format!("select yes, part, text, key, moment, said from note where number = {number}");
            let (yes, part, text, key, at, said): Read = db.one(sql).await.unwrap();
            let read: [Value; 7] = [yes.into(), number.into(), part.into(), text.into(), key.into(), at.into(), said.map(|said| said.0).into()];
            assert_eq!(read, row(number));
        }
    }

    async fn an_insert_that_fails_leaves_nothing(database: TestDatabase) {
        let db = database.open().await;
        db.execute("create table note (number bigint primary key)").await.unwrap();
        let twice = || Insert::into("note (number)").rows([1, 2, 3, 2].map(|number| [Value::from(number)]));
        assert!(db.insert(twice()).await.unwrap_err().is_unique());
        let tx = db.begin().await.unwrap();
        assert!(tx.insert(twice()).await.unwrap_err().is_unique());
        drop(tx);
        let mixed = Insert::into("note (number)").rows([Value::from(1), Value::from("one")].map(|value| [value]));
        if database.engine() == Engine::Postgres {
            assert!(db.insert(mixed).await.unwrap_err().to_string().contains("bigint"));
        }
        assert_eq!(db.scalar::<i64>("select count(*) from note").await.unwrap(), 0);
    }

    async fn units_that_were_there_before_are_counted(database: TestDatabase) {
        let db = database.open().await;
        let at = CORE.migrations.iter().position(|step| step.name == "0019_content_count").unwrap();
        migrate(&db, &[MigrationSet { component: CORE.component, migrations: &CORE.migrations[..at] }]).await.unwrap();
        let (domain, moment): (Uuid, Timestamp) = (Uuid::now_v7(), "2026-11-28T08:09:10Z".parse().unwrap());
        let domains = Insert::into("core_domain (pulp_id, pulp_created, name, storage_class)");
        db.insert(domains.rows([[domain.into(), moment.into(), "default".into(), Value::from("")]])).await.unwrap();
        let add = async |kinds: &[&str]| {
            let rows = kinds.iter().map(|kind| [Uuid::now_v7().into(), moment.into(), (*kind).into(), moment.into(), domain.into()]);
            let table = "core_content (pulp_id, pulp_created, pulp_type, timestamp_of_interest, pulp_domain_id)";
            db.insert(Insert::into(table).rows(rows.collect::<Vec<[Value; 5]>>())).await.unwrap();
        };
        let counted = async || {
            let sql = "select pulp_type, cast(sum(units) as bigint) from core_contentcount group by pulp_type order by pulp_type";
            db.all::<(String, i64)>(sql).await.unwrap()
        };
        add(&["a", "b", "a"]).await;
        migrate(&db, &[CORE]).await.unwrap();
        assert_eq!(counted().await, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        add(&["c", "a"]).await;
        db.execute("delete from core_content where pulp_type = 'b'").await.unwrap();
        assert_eq!(counted().await, [("a".to_owned(), 3), ("b".to_owned(), 0), ("c".to_owned(), 1)]);
    }

    async fn what_is_committed_without_waiting_is_there(database: TestDatabase) {
        let db = one_connection(&database).await;
        db.execute("create table note (number bigint primary key)").await.unwrap();
        let tx = db.begin_relaxed().await.unwrap();
        tx.execute("insert into note values (1)").await.unwrap();
        tx.commit().await.unwrap();
        let tx = db.begin_relaxed().await.unwrap();
        tx.execute("insert into note values (2)").await.unwrap();
        drop(tx);
        assert_eq!(db.scalar::<i64>("select count(*) from note").await.unwrap(), 1);
        // A later transaction of the same connection waits again.
        if database.engine() == Engine::Postgres {
            db.execute("set synchronous_commit to on").await.unwrap();
            for (relaxed, is) in [(true, "off"), (false, "on"), (true, "off")] {
                let tx = if relaxed { db.begin_relaxed().await } else { db.begin().await }.unwrap();
                assert_eq!(tx.scalar::<String>("show synchronous_commit").await.unwrap(), is);
                tx.commit().await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_goes_on_when_the_database_is_back() {
    let Some(database) = TestDatabase::alone(&[]).await else { return };
    let postgres = database.server().unwrap();
    let db = database.open().await;
    let mut notifications = db.notifications();
    let mut next = async || tokio::time::timeout(Duration::from_secs(20), notifications.recv()).await.expect("a notification").unwrap();
    // Whoever begins to listen may have missed something.
    assert_eq!(next().await.channel, "");
    postgres.stop().await;
    postgres.start_again().await;
    assert_eq!(next().await.channel, "");
    database.open().await.notify("note", "said").await.unwrap();
    assert_eq!(next().await.payload, "said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_is_told_within_seconds() {
    let Some(database) = TestDatabase::empty(Engine::Postgres).await else { return };
    let mut options = DbOptions::default();
    options.max_connections = 1;
    options.acquire_timeout = Duration::from_secs(60);
    let db = Db::open(&database.url(), &options).await.unwrap();
    assert!(db.is_alive().await);
    let held = db.begin().await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), db.is_alive()).await, Ok(false));
    drop(held);
    assert!(db.is_alive().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_while_they_rested_are_not_used() {
    let Some(database) = TestDatabase::alone(&[]).await else { return };
    let db = database.open().await;
    let begun = futures::future::join_all((0..4).map(|_| db.begin())).await;
    drop(begun);
    let postgres = database.server().unwrap();
    postgres.stop().await;
    postgres.start_again().await;
    // One that was used less than a second ago is not asked.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for _ in 0..4 {
        assert_eq!(db.scalar::<i32>("select 1").await.unwrap(), 1);
    }
}

async fn one_connection(database: &TestDatabase) -> Db {
    let mut options = DbOptions::default();
    options.max_connections = 1;
    options.idle_transaction = Duration::from_secs(1);
    Db::open(&database.url(), &options).await.unwrap()
}

/// A later release adds a column to a table from which this one reads all columns.
#[tokio::test]
async fn a_column_that_another_process_adds_makes_no_statement_fail() {
    let Some(database) = TestDatabase::empty(Engine::Postgres).await else { return };
    let (ours, theirs) = (one_connection(&database).await, database.open().await);
    theirs.execute("create table shelf (id bigint primary key, name text)").await.unwrap();
    let read = "select * from shelf where id = 1";
    let write = "insert into shelf (id, name) values (1, 'a') on conflict (id) do update set name = 'b' returning *";
    for round in 0..4 {
        // Outside a transaction; as its first statement; and later in one.
        ours.rows(write.into()).await.unwrap();
        assert_eq!(ours.rows(read.into()).await.unwrap().len(), 1, "round {round}");
        for first in [read, write] {
            let tx = ours.begin().await.unwrap();
            for text in [first, read, write] {
                assert_eq!(tx.rows(text.into()).await.unwrap().len(), 1, "round {round}: {text}");
            }
            tx.commit().await.unwrap();
            theirs.execute(format!("alter table shelf add column c{round}{} text", first.len())).await.unwrap();
        }
    }
}

/// A process that was stopped in the middle of a transaction, or whose host is gone.
#[tokio::test]
async fn a_transaction_that_nobody_goes_on_with_gives_its_locks_back() {
    let Some(database) = TestDatabase::empty(Engine::Postgres).await else { return };
    let (stopped, other) = (one_connection(&database).await, database.open().await);
    other.execute("create table shelf (id bigint primary key)").await.unwrap();
    other.execute("insert into shelf values (1)").await.unwrap();
    let tx = stopped.begin().await.unwrap();
    tx.rows("select id from shelf for update".into()).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), other.execute("update shelf set id = 2"));
    assert_eq!(waited.await.expect("the lock is given back").unwrap(), 1);
    let late = tx.execute("update shelf set id = 3").await.unwrap_err();
    assert!(matches!(late, DbError::Unavailable(_)), "{late}");
    drop(tx);
    assert_eq!(stopped.scalar::<i64>("select id from shelf").await.unwrap(), 2, "and the process goes on with another connection");
}

/// A step of a migration that finds its table in use waits for it, and nobody waits for the step.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_holds_up_nobody() {
    let Some(database) = TestDatabase::empty(Engine::Postgres).await else { return };
    let (long, other) = (database.open().await, database.open().await);
    const FIRST: Migration = Migration { name: "0001", postgres: "create table shelf (id bigint)", sqlite: "" };
    const SECOND: Migration = Migration { name: "0002", postgres: "alter table shelf add column name text", sqlite: "" };
    migrate(&other, &[MigrationSet { component: "shelf", migrations: &[FIRST] }]).await.unwrap();
    let tx = long.begin().await.unwrap();
    tx.rows("select id from shelf".into()).await.unwrap();
    let later = database.open().await;
    let migrating =
        tokio::spawn(async move { migrate(&later, &[MigrationSet { component: "shelf", migrations: &[FIRST, SECOND] }]).await });
    for _ in 0..30 {
        let read = tokio::time::timeout(Duration::from_secs(5), other.scalar::<i64>("select count(*) from shelf"));
        assert_eq!(read.await.expect("nobody is held up").unwrap(), 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!migrating.is_finished());
    tx.commit().await.unwrap();
    assert_eq!(migrating.await.unwrap().unwrap(), ["shelf/0002"]);
}
