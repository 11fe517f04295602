//! The whole way: synced, published, distributed, fetched.

use pulp_core::Pulp;
use pulp_core::model::Policy;
use pulp_core::plugins::file::Files;
use pulp_testkit::{Kit, Upstream, both_databases};

use crate::world::World;

both_databases! {
    async fn what_was_just_published_is_served_at_once(kit: Kit) {
        let pulp: &Pulp = kit.pulp();
        let world = World::new(pulp);
        let upstream = Upstream::start().await.file("one.txt", "first").file("dir/two.txt", "second").manifest();
        let files = Files::of(pulp);
        let isos = files.repository("isos").await.unwrap();
        let remote = files.remote("r", &upstream.url("PULP_MANIFEST"), Policy::OnDemand).await.unwrap();
        assert_eq!(world.status("/isos/one.txt").await, 404);
        isos.distribute("isos").await.unwrap();
        isos.sync(&remote, false).await.unwrap();
        assert_eq!(world.status("/isos/one.txt").await, 404, "not published yet");
        isos.publish().await.unwrap();
        assert_eq!(world.get("/isos/one.txt").await.text(), "first");
        assert_eq!(world.get("/isos/dir/two.txt").await.text(), "second");
        assert_eq!(world.get("/isos/PULP_MANIFEST").await.text().lines().count(), 2);
        assert_eq!(upstream.hits("one.txt"), 1);

        upstream.remove("dir/two.txt");
        upstream.put("three.txt", "third");
        upstream.write_manifest();
        assert_eq!(world.status("/isos/three.txt").await, 404);
        // A mirror is published by itself.
        isos.sync(&remote, true).await.unwrap();
        assert_eq!(world.get("/isos/three.txt").await.text(), "third");
        assert!(!world.get("/isos/PULP_MANIFEST").await.text().contains("two.txt"));
        assert_eq!(world.status("/isos/dir/").await, 404);
        assert_eq!(world.get("/isos/dir/two.txt").await.text(), "second", "named by the manifest that clients may still hold");
    }
}
