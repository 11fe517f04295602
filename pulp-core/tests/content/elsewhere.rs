//! Artifacts in a storage that has no files on this host.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use http::Method;
use pulp_core::content::Change;
use pulp_core::db::Sql;
use pulp_core::storage::{ArtifactPath, ByteStream, LocalStorage, Presign, ResponseHeaders, Result, Spooled, Storage, StorageError};
use pulp_testkit::{Engine, Kit, Prepare, both_databases};

use crate::world::World;

/// A storage that could be anywhere.
#[derive(Debug)]
struct Elsewhere {
    files: LocalStorage,
    presigns: bool,
}

#[async_trait]
impl Storage for Elsewhere {
    async fn adopt(&self, file: Spooled, to: &ArtifactPath) -> Result<()> {
        self.files.adopt(file, to).await
    }

    async fn open(&self, at: &ArtifactPath, range: Option<Range<u64>>) -> Result<ByteStream> {
        self.files.open(at, range).await
    }

    async fn size(&self, at: &ArtifactPath) -> Result<u64> {
        self.files.size(at).await
    }

    async fn delete(&self, at: &ArtifactPath) -> Result<()> {
        self.files.delete(at).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<ArtifactPath>> {
        self.files.list(prefix)
    }

    fn presigner(&self) -> Option<&dyn Presign> {
        self.presigns.then_some(self)
    }
}

#[async_trait]
impl Presign for Elsewhere {
    async fn presign_get(&self, at: &ArtifactPath, _: Duration, headers: &ResponseHeaders) -> Result<url::Url> {
        let url = format!("https://store.example/{at}");
        let pairs = [("type", headers.content_type.as_deref()), ("disposition", headers.content_disposition.as_deref())];
        let pairs = pairs.map(|(name, value)| (name, value.unwrap_or_default()));
        url::Url::parse_with_params(&url, pairs).map_err(|_| StorageError::NotFound { path: at.clone() })
    }
}

/// The directory lives as long as the storage in it.
struct Away<const PRESIGNS: bool>(Kit, #[expect(dead_code)] tempfile::TempDir);

#[async_trait]
impl<const PRESIGNS: bool> Prepare for Away<PRESIGNS> {
    async fn prepare(engine: Engine) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let files = LocalStorage::open(dir.path().join("media"), Default::default()).await.unwrap();
        let storage = Arc::new(Elsewhere { files, presigns: PRESIGNS });
        let spool = dir.path().join("spool");
        Kit::built(engine, |builder| builder.storage(storage, spool)).await.map(|kit| Self(kit, dir))
    }
}

both_databases! {
    async fn without_signed_urls_files_are_passed_on(away: Away<false>) {
        let world = World::new(away.0.pulp());
        let large: Vec<u8> = (0..700_000u32).map(|i| (i % 251) as u8).collect();
        world.served("d", &[("small", b"small"), ("large", &large)]).await;
        assert_eq!(world.get("/d/small").await.text(), "small");
        assert!(world.get("/d/large").await.body.unwrap() == large);
        let part = world.ask(Method::GET, "/d/large", &[("range", "bytes=500000-500009")]).await;
        assert_eq!((part.status.as_u16(), part.body.unwrap()), (206, large[500_000..500_010].to_vec()));
    }

    async fn with_signed_urls_clients_are_sent_to_the_store(away: Away<true>) {
        let world = World::new(away.0.pulp());
        world.served("d", &[("dir/a \"b\".txt", b"text")]).await;
        let answer = world.get("/d/dir/a%20%22b%22.txt").await;
        let to: url::Url = answer.header("location").parse().unwrap();
        assert_eq!((answer.status.as_u16(), to.host_str()), (302, Some("store.example")));
        let pairs: Vec<_> = to.query_pairs().map(|(_, value)| value.into_owned()).collect();
        assert_eq!(pairs, ["text/plain", "attachment;filename=\"a _b_.txt\";filename*=UTF-8''a%20%22b%22.txt"]);
        // The address is signed for a GET.
        let head = world.ask(Method::HEAD, "/d/dir/a%20%22b%22.txt", &[]).await;
        assert_eq!((head.status.as_u16(), head.header("content-length"), head.header("content-type")), (200, "4", "text/plain"));
    }

    async fn a_distribution_says_for_itself_whether_clients_are_sent_to_the_store(away: Away<true>) {
        let world = World::new(away.0.pulp());
        world.served("d", &[("\u{e9}.rpm", b"text")]).await;
        let there = world.get("/d/%C3%A9.rpm").await;
        let to: url::Url = there.header("location").parse().unwrap();
        let pairs: Vec<_> = to.query_pairs().map(|(_, value)| value.into_owned()).collect();
        let kind = pairs[0].clone();
        assert_eq!(pairs[1], "attachment;filename=\"_.rpm\";filename*=UTF-8''%C3%A9.rpm");
        for (says, status) in [(Some(false), 200), (Some(true), 302), (None, 302)] {
            world.sql(Sql::new("update core_distribution set redirect_to_object_storage = $1").bind(says)).await;
            Change::Distributions.announce(&world.pulp).await;
            // Remembered or not.
            for _ in 0..2 {
                let answer = world.get("/d/%C3%A9.rpm").await;
                assert_eq!(answer.status.as_u16(), status, "{says:?}");
                if status == 200 {
                    assert_eq!((answer.text().as_str(), answer.header("content-type")), ("text", kind.as_str()));
                }
            }
        }
    }
}
