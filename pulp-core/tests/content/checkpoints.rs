//! Distributions that serve the points in time at which a repository was published.

use chrono::{TimeDelta, Timelike as _};
use http::Method;
use pulp_core::content::Change;
use pulp_core::db::{ExecutorExt as _, Sql};
use pulp_testkit::both_databases;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::world::{Timed, World};

impl World {
    /// A new version with one more file, published as a checkpoint; when that was, as paths have it.
    async fn checkpoint(&self, repository: Uuid, number: i64, path: &str) -> String {
        let unit = self.file(path, path.as_bytes()).await;
        let version = self.version(repository, number, &[unit], &[]).await;
        let publication = self.publication(version).await;
        self.metadata(publication, "LIST", format!("up to {path}").as_bytes()).await;
        let sql = Sql::new("update core_publication set checkpoint = $2 where pulp_id = $1").bind(publication).bind(true);
        self.sql(sql).await;
        self.changed(repository).await;
        self.moment(0)
    }

    /// So many seconds from now, as paths have it.
    fn moment(&self, seconds: i64) -> String {
        (self.pulp.now() + TimeDelta::seconds(seconds)).format("%Y%m%dT%H%M%SZ").to_string()
    }
}

/// A repository that nothing is published of, and a distribution of its checkpoints at `/d/`.
async fn prepared(timed: &Timed) -> (World, Uuid) {
    let world = World::new(timed.kit.pulp());
    // Not at the end of a second: what is made now is older than what is asked for as of now.
    timed.clock.advance(TimeDelta::nanoseconds(1_500_000_000 - i64::from(world.pulp.now().nanosecond())));
    let repository = world.repository("r").await;
    world.distribution("d", &[("repository_id", repository)]).await;
    world.sql(Sql::new("update core_distribution set checkpoint = $1").bind(true)).await;
    Change::Distributions.announce(&world.pulp).await;
    (world, repository)
}

both_databases! {
    async fn each_checkpoint_lies_below_its_moment(timed: Timed) {
        let (world, repository) = prepared(&timed).await;
        assert_eq!(world.get("/d/").await.status, 200, "an empty listing");
        let first = world.checkpoint(repository, 1, "one").await;
        timed.clock.advance(TimeDelta::seconds(10));
        let second = world.checkpoint(repository, 2, "dir/two").await;
        timed.clock.advance(TimeDelta::seconds(10));
        let list = world.ask(Method::GET, "/d/?format=json", &[]).await;
        let list: Json = serde_json::from_str(&list.text()).unwrap();
        let names: Vec<&str> = list["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
        assert_eq!(names, [first.as_str(), &second]);

        assert_eq!(world.get(&format!("/d/{first}/LIST")).await.text(), "up to one");
        let last = world.get(&format!("/d/{second}/LIST")).await;
        assert_eq!((last.text().as_str(), last.header("cache-control")), ("up to dir/two", "public, max-age=31536000, immutable"));
        assert_eq!(world.status(&format!("/d/{first}/dir/two")).await, 404);
        assert_eq!(world.get(&format!("/d/{second}/dir/two")).await.text(), "dir/two");
        let page = world.get(&format!("/d/{second}/")).await.text();
        assert!(page.contains(&format!("<h1>Index of /pulp/content/d/{second}/</h1>")) && page.contains("./dir/"), "{page}");
        for path in [first.clone(), format!("{second}/dir")] {
            let answer = world.get(&format!("/d/{path}")).await;
            assert_eq!((answer.status.as_u16(), answer.header("location")), (301, format!("/pulp/content/d/{path}/").as_str()));
        }
    }

    async fn any_moment_of_the_past_leads_to_the_checkpoint_before_it(timed: Timed) {
        let (world, repository) = prepared(&timed).await;
        let before = world.moment(0);
        timed.clock.advance(TimeDelta::seconds(10));
        let first = world.checkpoint(repository, 1, "a b").await;
        timed.clock.advance(TimeDelta::seconds(10));
        let (between, future) = (world.moment(-1), world.moment(1));
        for rest in ["", "LIST", "a%20b", "nothing"] {
            let answer = world.get(&format!("/d/{between}/{rest}")).await;
            let wanted = format!("/pulp/content/d/{first}/{rest}");
            assert_eq!((answer.status.as_u16(), answer.header("location")), (301, wanted.as_str()));
        }
        assert_eq!(world.status(&format!("/d/{before}/")).await, 404);
        assert_eq!(world.status(&format!("/d/{future}/")).await, 404);
        for path in ["invalid/", "20259928T092752Z/", "20260102T030405/", "LIST", "20260102T030405Zx/"] {
            assert_eq!(world.status(&format!("/d/{path}")).await, 404, "{path}");
        }
        assert_eq!(world.status(&format!("/d/{first}//LIST")).await, 404);
        // What was to come is there once it has come, and the newest that is not to be one any more is passed over.
        timed.clock.advance(TimeDelta::seconds(5));
        assert_eq!(world.status(&format!("/d/{future}/LIST")).await, 301);
        let second = world.checkpoint(repository, 2, "two").await;
        assert_eq!(world.status(&format!("/d/{second}/LIST")).await, 200);
        let newest: Uuid = world.pulp.db().scalar("select pulp_id from core_publication order by pulp_created desc limit 1").await.unwrap();
        world.sql(Sql::new("update core_publication set checkpoint = $2 where pulp_id = $1").bind(newest).bind(false)).await;
        world.changed(repository).await;
        let answer = world.get(&format!("/d/{second}/LIST")).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (301, format!("/pulp/content/d/{first}/LIST").as_str()));
    }
}
