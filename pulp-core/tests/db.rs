//! The pool: transactions whose caller goes away while they begin, notifications, and the end.

use std::time::Duration;

use futures::poll;
use pulp_core::db::{Db, DbOptions, ExecutorExt};
use pulp_testkit::{Engine, TestDatabase, both_databases};

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
