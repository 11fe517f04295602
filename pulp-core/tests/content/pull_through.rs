//! Distributions that have what their remote has.

use async_trait::async_trait;
use http::Method;
use pulp_core::content::{Chain, Change, ContentPath, PublishedHandler, PullThrough, PullThroughHandler, Pulled};
use pulp_core::db::{ExecutorExt, Sql, Tx};
use pulp_core::ids::new_id;
use pulp_core::plugin::{Plugin, PluginDescriptor, Registry};
use pulp_testkit::{Engine, Kit, Prepare, Upstream, both_databases};
use uuid::Uuid;

use crate::world::World;

/// A type whose units are `.bin` files.
struct Bins;

#[async_trait]
impl PullThrough for Bins {
    fn is_unit(&self, path: &ContentPath) -> bool {
        path.as_str().ends_with(".bin")
    }

    async fn save(&self, tx: &Tx, pulled: &Pulled<'_>) -> pulp_core::Result<Uuid> {
        let (content, file) = (new_id(), new_id());
        let now = pulled.pulp.now();
        let sql = Sql::new(
            "insert into core_content (pulp_id, pulp_created, pulp_type, timestamp_of_interest, pulp_domain_id) \
             values ($1, $2, 'file.file', $2, $3)",
        );
        tx.execute(sql.bind(content).bind(now).bind(pulled.distribution.pulp_domain_id)).await?;
        let sql = Sql::new(
            "insert into core_contentartifact (pulp_id, pulp_created, relative_path, artifact_id, content_id) \
             values ($1, $2, $3, $4, $5)",
        );
        tx.execute(sql.bind(file).bind(now).bind(pulled.path.as_str()).bind(pulled.artifact).bind(content)).await?;
        Ok(file)
    }
}

impl Plugin for Bins {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor { label: "bins", version: "1.0.0", package: "bins", module: "bins", domain_compatible: false }
    }

    fn migrations(&self) -> pulp_migrations::MigrationSet {
        pulp_migrations::MigrationSet { component: "bins", migrations: &[] }
    }

    fn register(&self, registry: &mut Registry) {
        registry.distribution("bins.bins", Chain::new().then(PublishedHandler).then(PullThroughHandler::new(Self)));
    }
}

struct Extended(Kit);

#[async_trait]
impl Prepare for Extended {
    async fn prepare(engine: Engine) -> Option<Self> {
        Kit::built(engine, |builder| builder.plugin(Bins)).await.map(Self)
    }
}

async fn pulling(world: &World, upstream: &Upstream, policy: &str) {
    let remote = world.remote(&upstream.url("sub/"), policy).await;
    world.distribution("d", &[("remote_id", remote)]).await;
    world.sql(Sql::new("update core_distribution set pulp_type = 'bins.bins'")).await;
    Change::Distributions.announce(&world.pulp).await;
}

async fn wait_until_idle(world: &World) {
    while world.pulp.fetcher().pending() > 0 {
        tokio::task::yield_now().await;
    }
}

both_databases! {
    async fn units_are_kept_and_metadata_passes(extended: Extended) {
        let world = World::new(extended.0.pulp());
        let upstream = Upstream::start().await.file("sub/dir/a.bin", "a unit").file("sub/index.txt", "metadata");
        pulling(&world, &upstream, "on_demand").await;
        assert_eq!(world.get("/d/dir/a.bin").await.text(), "a unit");
        wait_until_idle(&world).await;
        let again = world.ask(Method::GET, "/d/dir/a.bin", &[("range", "bytes=2-")]).await;
        assert_eq!((again.status.as_u16(), again.text().as_str()), (206, "unit"));
        assert_eq!(upstream.hits("sub/dir/a.bin"), 1);
        for hits in 1..3 {
            assert_eq!(world.get("/d/index.txt").await.text(), "metadata");
            wait_until_idle(&world).await;
            assert_eq!(upstream.hits("sub/index.txt"), hits);
        }
        assert_eq!((world.count("core_artifact").await, world.count("core_remoteartifact").await), (1, 1));
    }

    async fn what_the_remote_does_not_have_is_not_there(extended: Extended) {
        let world = World::new(extended.0.pulp());
        let upstream = Upstream::start().await.file("secret.bin", "not below the remote's URL").file("sub/x.bin", "x");
        pulling(&world, &upstream, "streamed").await;
        for path in ["/d/nope.bin", "/d/nope.txt", "/d/../secret.bin", "/d/%2e%2e/secret.bin", "/d/dir/"] {
            assert_eq!(world.status(path).await, 404, "{path}");
        }
        assert_eq!(world.ask(Method::HEAD, "/d/nope.bin", &[]).await.status, 404);
        assert_eq!(world.ask(Method::HEAD, "/d/x.bin", &[]).await.status, 200);
        assert_eq!(world.get("/d/x.bin").await.text(), "x");
        wait_until_idle(&world).await;
        assert_eq!((upstream.hits("secret.bin"), world.count("core_artifact").await), (0, 0));
    }
}
