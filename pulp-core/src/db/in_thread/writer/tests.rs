//! The one that writes.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::super::tests::open;
use super::{LOG_PAGES, replaceable};
use crate::db::{Db, DbError, DbOptions, Executor, ExecutorExt, Insert, Sql, Value};

/// Writes as many rows as it is told; quick or long with the same text.
fn fill(rows: i64) -> Sql {
    Sql::new("insert into t (x) with recursive n(x) as (select 1 union all select x + 1 from n where x < $1) select x from n").bind(rows)
}

async fn with_table(options: &DbOptions) -> (tempfile::TempDir, Db) {
    let (dir, db) = open(options).await;
    db.execute("create table t (x bigint not null)").await.unwrap();
    (dir, db)
}

async fn count(db: &Db) -> i64 {
    db.scalar("select count(*) from t").await.unwrap()
}

#[tokio::test]
async fn a_statement_that_is_not_waited_for_takes_its_transaction_along() {
    let (_dir, db) = with_table(&DbOptions::default()).await;
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t (x) values (1)").await.unwrap();
    assert!(timeout(Duration::from_millis(5), tx.execute(fill(1_000_000))).await.is_err());
    let error = tx.execute("insert into t (x) values (2)").await.unwrap_err();
    assert!(matches!(&error, DbError::Retry(message) if message.contains("not waited for")), "{error}");
    assert!(matches!(tx.commit().await, Err(DbError::Retry(_))));
    // The next waits until it has ended, and finds nothing of it.
    db.execute("insert into t (x) values (3)").await.unwrap();
    assert_eq!(db.column::<i64>("select x from t").await.unwrap(), [3]);
}

#[tokio::test]
async fn a_transaction_that_sqlite_takes_back_by_itself_commits_nothing_more() {
    let (_dir, db) = with_table(&DbOptions::default()).await;
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t (x) values (1)").await.unwrap();
    // As a disk that is full makes it do.
    assert!(tx.execute("insert or rollback into t (x) values (null)").await.is_err());
    for _ in 0..2 {
        assert!(matches!(tx.execute("insert into t (x) values (2)").await, Err(DbError::Retry(_))));
    }
    assert!(matches!(tx.commit().await, Err(DbError::Retry(_))));
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn much_that_is_not_committed_is_taken_back_before_the_next_comes() {
    let (dir, db) = with_table(&DbOptions::default()).await;
    for _ in 0..3 {
        let tx = db.begin().await.unwrap();
        tx.execute(fill(200_000)).await.unwrap();
        drop(tx);
        db.execute("insert into t (x) values (1)").await.unwrap();
    }
    assert_eq!(count(&db).await, 3);
    // Whoever closes it comes after that, and is done when it is, be they two.
    let tx = db.begin().await.unwrap();
    tx.execute(fill(200_000)).await.unwrap();
    drop(tx);
    tokio::join!(db.close(), db.close());
    assert!(!dir.path().join("pulp.sqlite3-wal").exists());
    assert!(matches!(db.execute("insert into t (x) values (1)").await, Err(DbError::Unavailable(_))));
}

#[tokio::test]
async fn what_forbids_a_write_is_told() {
    let (_dir, db) = with_table(&DbOptions::default()).await;
    db.execute("create table named (id bigint primary key, name text unique)").await.unwrap();
    db.execute("create table of_named (named_id bigint references named (id))").await.unwrap();
    db.execute("create table later (named_id bigint references named (id) deferrable initially deferred)").await.unwrap();
    db.execute("insert into named values (1, 'a')").await.unwrap();
    for (row, columns) in [("(1, 'b')", "named.id"), ("(2, 'a')", "named.name")] {
        let error = db.execute(format!("insert into named values {row}")).await.unwrap_err();
        assert!(matches!(&error, DbError::Unique { constraint } if constraint == columns), "{error:?}");
    }
    assert!(matches!(db.execute("insert into of_named values (7)").await, Err(DbError::ForeignKey)));
    let tx = db.begin().await.unwrap();
    tx.execute("insert into later values (7)").await.unwrap();
    assert!(matches!(tx.commit().await, Err(DbError::ForeignKey)));
    assert_eq!(db.scalar::<i64>("select count(*) from later").await.unwrap(), 0);
}

/// Says that a task which wants to run every millisecond comes to it while something else is done: it never waits for half of the time.
async fn holds_nobody_up(work: impl Future<Output = ()>) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let ticking = tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while tell.send(Instant::now()).is_ok() {
            ticks.tick().await;
        }
    });
    let begun = told.recv().await.unwrap();
    work.await;
    let ended = Instant::now();
    ticking.abort();
    told.close();
    let (mut last, mut longest) = (begun, Duration::ZERO);
    while let Some(tick) = told.recv().await {
        longest = longest.max(tick - last);
        last = tick;
    }
    longest = longest.max(ended.saturating_duration_since(last));
    assert!(longest * 2 < ended - begun, "{longest:?} of {:?}", ended - begun);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_statement_that_was_quick_and_takes_long_leaves_its_thread_to_others() {
    let (_dir, db) = with_table(&DbOptions::default()).await;
    for _ in 0..3 {
        db.execute(fill(1)).await.unwrap();
    }
    let long = async {
        let writing = tokio::spawn(replaceable(async move { db.execute(fill(2_000_000)).await }));
        assert_eq!(writing.await.unwrap().unwrap(), 2_000_000);
    };
    holds_nobody_up(long).await;
}

#[tokio::test]
async fn whoever_waits_for_somebody_outside_holds_nobody_up() {
    let (dir, db) = with_table(&DbOptions::default()).await;
    let other = rusqlite::Connection::open(dir.path().join("pulp.sqlite3")).unwrap();
    other.execute_batch("begin immediate; insert into t values (1)").unwrap();
    let waiting = async {
        let writing = tokio::spawn({
            let db = db.clone();
            async move { db.execute("insert into t (x) values (2)").await }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!writing.is_finished());
        other.execute_batch("commit").unwrap();
        writing.await.unwrap().unwrap();
    };
    holds_nobody_up(waiting).await;
    assert_eq!(count(&db).await, 2);
}

#[tokio::test]
async fn the_log_is_written_back_and_does_not_grow_for_ever() {
    let (dir, db) = with_table(&DbOptions::default()).await;
    let page = 4_096 + 24;
    for batch in 0..10 {
        let mut insert = Insert::into("t (x)");
        for row in 0..40_000 {
            insert.row([Value::from(batch * 40_000 + row)]);
        }
        db.insert(insert).await.unwrap();
    }
    let log = dir.path().join("pulp.sqlite3-wal").metadata().unwrap().len() / page;
    let file = dir.path().join("pulp.sqlite3").metadata().unwrap().len() / 4_096;
    let most = 2 * u64::try_from(LOG_PAGES).unwrap();
    assert!(log < most && file > most, "{log} pages in the log, {file} in the file");
    assert_eq!(count(&db).await, 400_000);
}

#[tokio::test]
async fn writers_come_in_order_and_are_told_when_it_takes_too_long() {
    let (dir, db) = with_table(&DbOptions::default()).await;
    let first = db.begin().await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let later: Vec<_> = (0..5)
        .map(|number: i64| {
            let (db, tell) = (db.clone(), tell.clone());
            async move {
                db.execute(Sql::new("insert into t (x) values ($1)").bind(number)).await.unwrap();
                tell.send(number).unwrap();
            }
        })
        .collect();
    let mut later = std::pin::pin!(futures::future::join_all(later));
    assert!(futures::poll!(later.as_mut()).is_pending());
    first.commit().await.unwrap();
    later.await;
    for number in 0..5 {
        assert_eq!(told.recv().await, Some(number));
    }

    let writer = super::Writer::open(dir.path().join("other.sqlite3"), false, Duration::from_millis(20)).await.unwrap();
    let held = writer.begin().await.unwrap();
    let error = writer.begin().await.unwrap_err();
    assert!(matches!(&error, DbError::Unavailable(message) if message.contains("does not come to an end")), "{error}");
    drop(held);
    writer.begin().await.unwrap();
}
