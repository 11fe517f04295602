use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use serde_json::json;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::db::{Db, DbError, DbOptions, Executor, ExecutorExt, Row, Sql, Value};

pub(super) async fn open(options: &DbOptions) -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&format!("sqlite://{}/pulp.sqlite3", dir.path().display()), options).await.unwrap();
    (dir, db)
}

#[derive(Debug, Clone, PartialEq, FromRow)]
struct Everything {
    flag: bool,
    number: i64,
    fraction: f64,
    text: String,
    key: Uuid,
    moment: DateTime<Utc>,
    labels: Json<serde_json::Value>,
    empty: Option<String>,
}

/// A statement that takes some hundred milliseconds and gives one row.
const LONG: &str = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 1000000) select sum(x) from n";

#[tokio::test]
async fn what_was_written_reads_the_same_through_a_reader_and_in_a_transaction() {
    let (_dir, db) = open(&DbOptions::default()).await;
    let create = "create table everything (flag boolean, number bigint, fraction double precision, text text, key uuid, moment timestamptz, labels jsonb, empty text)";
    db.execute(create).await.unwrap();
    let moments = [Utc.timestamp_opt(0, 0).unwrap(), Utc.timestamp_micros(1_764_232_496_123_456).unwrap(), Utc::now()];
    for (place, moment) in moments.into_iter().enumerate() {
        let values: [Value; 8] = [
            (place == 1).into(),
            (i64::MAX - place as i64).into(),
            (place as f64).into(),
            "quote ' and Ünicode \u{0}".into(),
            Uuid::now_v7().into(),
            moment.into(),
            json!({"b": [1, null], "a": "ü"}).into(),
            Value::Text(None),
        ];
        let mut insert = Sql::new("insert into everything values ");
        insert.push_rows([values]);
        db.execute(insert).await.unwrap();
    }
    let all = "select * from everything order by number desc";
    let tx = db.begin().await.unwrap();
    let written: Vec<Everything> = tx.all(all).await.unwrap();
    tx.rollback().await.unwrap();
    let rows = db.rows(all.into()).await.unwrap();
    assert!(rows.iter().all(|row| matches!(row, Row::InThread(_))));
    let read: Vec<Everything> = rows.iter().map(|row| row.read().unwrap()).collect();
    assert_eq!(read, written);
    assert_eq!(read.len(), 3);

    // Each kind of value finds its row again.
    let row = &read[1];
    let found = Sql::new("select number from everything where flag = $1 and number = $2 and fraction = $3 and text = $4 and key = $5 and moment = $6 and labels = $7")
        .bind(row.flag)
        .bind(row.number)
        .bind(row.fraction)
        .bind(&row.text)
        .bind(row.key)
        .bind(row.moment)
        .bind(row.labels.0.clone());
    assert_eq!(db.column::<i64>(found).await.unwrap(), [row.number]);
}

#[tokio::test]
async fn a_column_of_another_type_or_name_is_told() {
    let (_dir, db) = open(&DbOptions::default()).await;
    let row = &db.rows("select 'text' as t, 7 as n, x'00' as b, null as z".into()).await.unwrap()[0];
    assert!(row.get::<i64>("t").unwrap_err().to_string().contains('t'));
    assert!(row.get::<String>("n").is_err() && row.get::<Uuid>("b").is_err() && row.get::<DateTime<Utc>>("t").is_err());
    assert!(row.get::<i64>("missing").unwrap_err().to_string().contains("missing"));
    assert!(row.at::<i64>(4).is_err() && row.get::<i64>("z").is_err());
    // In any order, and again.
    assert_eq!((row.get::<i64>("n").unwrap(), row.get::<String>("t").unwrap(), row.get::<i64>("n").unwrap()), (7, "text".to_owned(), 7));
    assert_eq!(row.get::<Option<i64>>("z").unwrap(), None);
}

#[tokio::test]
async fn values_go_where_their_numbers_say() {
    let (_dir, db) = open(&DbOptions::default()).await;
    let twice = Sql::new("select $2 || $1 || $2").bind("a").bind("b");
    assert_eq!(db.scalar::<String>(twice).await.unwrap(), "bab");
    // Without numbers, as a list of many values is sent.
    let mut many = Sql::new("select 0 where 99 in ");
    many.push_list(0..100_i64);
    assert_eq!(db.column::<i64>(many).await.unwrap(), [0]);
    let missing = db.scalar::<i64>(Sql::new("select $2").bind(1)).await.unwrap_err();
    assert!(missing.to_string().contains("database error"), "{missing}");
}

#[tokio::test]
async fn a_long_statement_leaves_the_runtime_to_others_and_still_ends() {
    let (_dir, db) = open(&DbOptions::default()).await;
    // One thread: whatever holds it holds the ticks too.
    let ticks = tokio::spawn(async {
        let mut ticks = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ticks += 1;
            if ticks == 20 {
                return;
            }
        }
    });
    for _ in 0..2 {
        assert_eq!(db.scalar::<i64>(LONG).await.unwrap(), 500_000_500_000);
    }
    assert!(ticks.is_finished());
    // Short ones are not mistaken for it.
    assert_eq!(db.scalar::<i64>("select 1").await.unwrap(), 1);
}

#[tokio::test]
async fn whoever_goes_away_ends_the_statement_and_frees_its_reader() {
    let (_dir, db) = open(&DbOptions { max_connections: 1, ..DbOptions::default() }).await;
    let endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select sum(x) from n";
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(50), db.scalar::<i64>(endless)).await.is_err());
    }
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), db.scalar::<i64>("select 1")).await.unwrap().unwrap(), 1);
}

#[test]
fn giving_up_a_statement_that_has_ended_does_not_end_the_next() {
    let leash = Arc::new(super::Leash::new());
    let ended = super::Abandon(leash.clone(), leash.next(None));
    let next = super::Abandon(leash.clone(), leash.next(None));
    drop(ended);
    assert!(!leash.is_over());
    drop(next);
    assert!(leash.is_over());
    leash.next(Some(Duration::ZERO));
    std::thread::sleep(Duration::from_millis(1));
    assert!(leash.is_over());
    leash.next(Some(Duration::from_secs(600)));
    assert!(!leash.is_over());
}

#[tokio::test]
async fn who_finds_all_readers_busy_waits_and_is_told_when_it_takes_too_long() {
    let options = DbOptions { max_connections: 1, acquire_timeout: Duration::from_millis(50), ..DbOptions::default() };
    let (_dir, db) = open(&options).await;
    let busy = tokio::spawn({
        let db = db.clone();
        async move { db.scalar::<i64>("with recursive n(x) as (select 1 union all select x + 1 from n) select sum(x) from n").await }
    });
    while db.pools()[0].size == 0 {
        tokio::task::yield_now().await;
    }
    let refused = db.scalar::<i64>("select 1").await.unwrap_err();
    assert!(matches!(&refused, DbError::Unavailable(message) if message.contains("max_connections")), "{refused}");
    busy.abort();
}

#[tokio::test]
async fn only_a_thread_that_may_be_blocked_waits_for_a_lock() {
    let (_dir, db) = open(&DbOptions { max_connections: 1, ..DbOptions::default() }).await;
    let mut elsewhere = Sql::new("select timeout from pragma_busy_timeout where timeout not in ");
    elsewhere.push_list(1..200_i64);
    for _ in 0..2 {
        assert_eq!(db.scalar::<i64>("select timeout from pragma_busy_timeout").await.unwrap(), 0);
        assert_eq!(db.scalar::<i64>(elsewhere.clone()).await.unwrap(), 30_000);
    }
}

#[tokio::test]
async fn a_reader_writes_nothing() {
    let (_dir, db) = open(&DbOptions::default()).await;
    db.execute("create table t (x bigint)").await.unwrap();
    let error = db.rows("with one as (select 1) insert into t select * from one returning x".into()).await.unwrap_err();
    assert!(error.to_string().contains("readonly"), "{error}");
    assert_eq!(db.scalar::<i64>("select count(*) from t").await.unwrap(), 0);
}

#[tokio::test]
async fn a_column_that_was_added_is_seen_by_a_statement_that_was_prepared_before() {
    let (_dir, db) = open(&DbOptions { max_connections: 1, ..DbOptions::default() }).await;
    db.execute("create table t (x bigint)").await.unwrap();
    db.execute("insert into t values (1)").await.unwrap();
    assert_eq!(db.one::<(i64,)>("select * from t").await.unwrap(), (1,));
    db.execute("alter table t add column y bigint default 2").await.unwrap();
    assert_eq!(db.one::<(i64, i64)>("select * from t").await.unwrap(), (1, 2));
}

#[tokio::test]
async fn regular_expressions_match_and_a_broken_one_is_an_error() {
    let (_dir, db) = open(&DbOptions::default()).await;
    let matches = |text: Option<&str>, expression: &str| {
        let sql = Sql::new("select $1 regexp $2").bind(text.map(str::to_owned)).bind(expression);
        let db = db.clone();
        async move { db.scalar::<Option<bool>>(sql).await }
    };
    assert_eq!(matches(Some("isos"), "^is").await.unwrap(), Some(true));
    assert_eq!(matches(Some("isos"), "^os").await.unwrap(), Some(false));
    assert_eq!(matches(Some("ISOS"), "(?i)^is").await.unwrap(), Some(true));
    assert_eq!(matches(None, "^is").await.unwrap(), None);
    assert!(matches(Some("isos"), "(").await.is_err());
}

#[tokio::test]
async fn closing_waits_for_who_reads_and_lets_nobody_in() {
    let (dir, db) = open(&DbOptions::default()).await;
    db.execute("create table t (x bigint)").await.unwrap();
    let reading = tokio::spawn({
        let db = db.clone();
        async move { db.scalar::<i64>(LONG).await }
    });
    while db.pools()[0].size == 0 {
        tokio::task::yield_now().await;
    }
    db.close().await;
    assert_eq!(reading.await.unwrap().unwrap(), 500_000_500_000);
    assert!(matches!(db.scalar::<i64>("select 1").await, Err(DbError::Unavailable(_))));
    // The one that writes went last and took the log along.
    assert!(!dir.path().join("pulp.sqlite3-wal").exists());
}
