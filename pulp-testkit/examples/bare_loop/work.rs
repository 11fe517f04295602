//! The loop: fetch, hash, write, insert.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use pulp_core::digest::{Algorithm, Digests, hash_bytes};
use pulp_testkit::{Engine, TestDatabase};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, PgConnection, QueryBuilder, Sqlite, SqliteConnection};
use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

/// Requests under way at a time.
pub const UNDER_WAY: usize = 64;
/// Files in one transaction.
const BATCH: usize = 1_000;
/// SQLite takes no more than 32,766 values a statement.
const ROWS: usize = 500;
const TABLES: [(&str, &str); 3] = [
    ("artifact", "id, file, size, sha224, sha256, sha384, sha512"),
    ("unit", "id, relative_path, digest"),
    ("unit_artifact", "id, unit_id, artifact_id, relative_path"),
];

/// What is noted of a file.
struct Noted {
    ids: [Uuid; 3],
    file: String,
    path: String,
    size: i64,
    digests: Digests,
}

impl Noted {
    fn digest(&self, algorithm: Algorithm) -> String {
        self.digests.get(algorithm).unwrap_or_default().to_owned()
    }
}

/// How many files there were, and the seconds that they took.
pub async fn run(manifest: &Url, engine: Engine) -> (usize, f64) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rows = Rows::open(engine, dir.path()).await;
    // Somebody may have done so before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let begun = Instant::now();
    let text = fetch(&client, manifest.clone()).await;
    let names: Vec<String> =
        std::str::from_utf8(&text).expect("text").lines().filter_map(|line| Some(line.split(',').next()?.to_owned())).collect();
    let (send, mut receive) = mpsc::channel::<Vec<Noted>>(2);
    let inserting = tokio::spawn(async move {
        while let Some(batch) = receive.recv().await {
            rows.insert(&batch).await;
        }
    });
    let root: Arc<Path> = dir.path().into();
    let done = stream::iter(&names).map(|name| {
        let (client, root, url) = (client.clone(), Arc::clone(&root), manifest.join(name).expect("a URL"));
        async move {
            let bytes = fetch(&client, url).await;
            let name = name.clone();
            tokio::task::spawn_blocking(move || keep(&root, name, &bytes)).await.expect("a file that is written")
        }
    });
    let mut batches = done.buffer_unordered(UNDER_WAY).chunks(BATCH);
    while let Some(batch) = batches.next().await {
        send.send(batch).await.expect("somebody who inserts");
    }
    drop(send);
    inserting.await.expect("all rows");
    (names.len(), begun.elapsed().as_secs_f64())
}

async fn fetch(client: &reqwest::Client, url: Url) -> Bytes {
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status).expect("an answer");
    answer.bytes().await.expect("a file")
}

/// Hashes and writes a file.
fn keep(root: &Path, path: String, bytes: &[u8]) -> Noted {
    let (digests, size) = hash_bytes(&Algorithm::DEFAULT, bytes);
    let sha256 = digests.get(Algorithm::Sha256).expect("a digest");
    let directory = root.join(&sha256[..2]);
    let temporary: PathBuf = root.join(&sha256[2..]);
    std::fs::write(&temporary, bytes).expect("room");
    if !directory.exists() {
        std::fs::create_dir_all(&directory).expect("a directory");
    }
    let file = directory.join(&sha256[2..]);
    std::fs::rename(&temporary, &file).expect("the file in its place");
    let ids = std::array::from_fn(|_| Uuid::now_v7());
    Noted { ids, file: file.display().to_string(), path, size: size.try_into().expect("a size"), digests }
}

enum Rows {
    Sqlite(SqliteConnection),
    Postgres { connection: PgConnection, _database: TestDatabase },
}

impl Rows {
    async fn open(engine: Engine, dir: &Path) -> Self {
        let tables = |uuid: &str| {
            format!(
                "create table artifact (id {uuid} primary key, file text not null, size bigint not null, sha224 text unique, \
                 sha256 text not null unique, sha384 text unique, sha512 text unique); \
                 create table unit (id {uuid} primary key, relative_path text not null, digest text not null, unique (relative_path, digest)); \
                 create table unit_artifact (id {uuid} primary key, unit_id {uuid} not null, artifact_id {uuid}, relative_path text not null, \
                 unique (unit_id, relative_path))"
            )
        };
        match engine {
            Engine::Sqlite => {
                let options = SqliteConnectOptions::new().filename(dir.join("bare.sqlite")).create_if_missing(true);
                let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
                let mut connection = SqliteConnection::connect_with(&options).await.expect("a database");
                sqlx::raw_sql(sqlx::AssertSqlSafe(tables("blob"))).execute(&mut connection).await.expect("tables");
                Self::Sqlite(connection)
            }
            Engine::Postgres => {
                let database = TestDatabase::empty(engine).await.expect("PostgreSQL");
                let mut connection = PgConnection::connect(&database.url()).await.expect("a database");
                sqlx::raw_sql(sqlx::AssertSqlSafe(tables("uuid"))).execute(&mut connection).await.expect("tables");
                Self::Postgres { connection, _database: database }
            }
        }
    }

    async fn insert(&mut self, files: &[Noted]) {
        let done = match self {
            Self::Sqlite(connection) => in_sqlite(connection, files).await,
            Self::Postgres { connection, .. } => in_postgres(connection, files).await,
        };
        done.expect("rows");
    }
}

async fn in_sqlite(connection: &mut SqliteConnection, files: &[Noted]) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    for files in files.chunks(ROWS) {
        for (table, columns) in TABLES {
            let mut insert = QueryBuilder::<Sqlite>::new(format!("insert into {table} ({columns}) "));
            insert.push_values(files, |mut row, file| {
                let [artifact, unit, both] = file.ids;
                let sha256 = file.digest(Algorithm::Sha256);
                match table {
                    "artifact" => row
                        .push_bind(artifact)
                        .push_bind(&file.file)
                        .push_bind(file.size)
                        .push_bind(file.digest(Algorithm::Sha224))
                        .push_bind(sha256)
                        .push_bind(file.digest(Algorithm::Sha384))
                        .push_bind(file.digest(Algorithm::Sha512)),
                    "unit" => row.push_bind(unit).push_bind(&file.path).push_bind(sha256),
                    _ => row.push_bind(both).push_bind(unit).push_bind(artifact).push_bind(&file.path),
                };
            });
            insert.build().execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await
}

async fn in_postgres(connection: &mut PgConnection, files: &[Noted]) -> sqlx::Result<()> {
    let ids = |which: usize| files.iter().map(|file| file.ids[which]).collect::<Vec<_>>();
    let digests = |algorithm| files.iter().map(|file| file.digest(algorithm)).collect::<Vec<_>>();
    let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "insert into artifact select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])",
    )
    .bind(ids(0))
    .bind(files.iter().map(|file| file.file.clone()).collect::<Vec<_>>())
    .bind(files.iter().map(|file| file.size).collect::<Vec<_>>())
    .bind(digests(Algorithm::Sha224))
    .bind(digests(Algorithm::Sha256))
    .bind(digests(Algorithm::Sha384))
    .bind(digests(Algorithm::Sha512))
    .execute(&mut *transaction)
    .await?;
    sqlx::query("insert into unit select * from unnest($1::uuid[], $2::text[], $3::text[])")
        .bind(ids(1))
        .bind(&paths)
        .bind(digests(Algorithm::Sha256))
        .execute(&mut *transaction)
        .await?;
    sqlx::query("insert into unit_artifact select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[])")
        .bind(ids(2))
        .bind(ids(1))
        .bind(ids(0))
        .bind(&paths)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
