//! Orphan cleanup looks only at what has changed since it last looked, and finds what a look at everything would find.

use std::collections::BTreeSet;

use async_trait::async_trait;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use pulp_core::clock::Timestamp;
use pulp_core::db::{Db, Dialect, Executor, ExecutorExt, Sql};
use pulp_core::settings::Settings;
use pulp_testkit::{Engine, Prepare, both_databases};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{FILES, REPOSITORIES, World, href};

/// A world that cleans up only when it is told to.
struct Quiet(World);

#[async_trait]
impl Prepare for Quiet {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.orphan_protection_time = 0;
        World::with(engine, settings).await.map(Self)
    }
}

const UNITS: usize = 6;
const HOUR: i64 = 60;

#[derive(Debug, Clone)]
enum Step {
    Upload(usize),
    Loose(usize),
    Add(usize, usize),
    Remove(usize, usize),
    Publish(usize),
    DeleteVersion(usize, prop::sample::Index),
    DeleteRepository(usize),
    /// So many hours go by.
    Wait(i64),
    /// With so many minutes of protection.
    Clean(i64),
    CleanOne(usize, i64),
}

fn step() -> impl Strategy<Value = Step> {
    // Ages are whole hours and a few seconds: none is near one of these.
    let minutes = || prop::sample::select(vec![0, HOUR / 2, 5 * HOUR / 2, 13 * HOUR / 2]);
    prop_oneof![
        2 => (0..UNITS).prop_map(Step::Upload),
        1 => (0..UNITS).prop_map(Step::Loose),
        5 => (0..2_usize, 0..UNITS).prop_map(|(repository, unit)| Step::Add(repository, unit)),
        3 => (0..2_usize, 0..UNITS).prop_map(|(repository, unit)| Step::Remove(repository, unit)),
        1 => (0..2_usize).prop_map(Step::Publish),
        3 => (0..2_usize, any::<prop::sample::Index>()).prop_map(|(repository, which)| Step::DeleteVersion(repository, which)),
        1 => (0..2_usize).prop_map(Step::DeleteRepository),
        4 => (1..4_i64).prop_map(Step::Wait),
        5 => minutes().prop_map(Step::Clean),
        1 => (0..UNITS, minutes()).prop_map(|(unit, minutes)| Step::CleanOne(unit, minutes)),
    ]
}

/// All that can be an orphan: units, stored files, and who has which.
#[derive(Debug)]
struct Stock {
    units: Vec<(Uuid, Timestamp)>,
    files: Vec<(Uuid, Timestamp, String)>,
    used: BTreeSet<Uuid>,
    links: Vec<(Uuid, Uuid)>,
}

impl Stock {
    async fn of(db: &Db) -> Self {
        let used = "select content_id from core_repositorycontent union select content_ptr_id from core_publishedmetadata";
        Self {
            units: db.all("select pulp_id, timestamp_of_interest from core_content").await.unwrap(),
            files: db.all("select pulp_id, timestamp_of_interest, file from core_artifact").await.unwrap(),
            used: db.column::<Uuid>(used).await.unwrap().into_iter().collect(),
            links: db.all("select content_id, artifact_id from core_contentartifact where artifact_id is not null").await.unwrap(),
        }
    }

    fn ids(&self) -> (BTreeSet<Uuid>, BTreeSet<Uuid>) {
        (self.units.iter().map(|(id, _)| *id).collect(), self.files.iter().map(|(id, ..)| *id).collect())
    }

    /// What stays when everything is looked at: units and files.
    fn cleaned(&self, before: Timestamp, only: Option<Uuid>) -> (BTreeSet<Uuid>, BTreeSet<Uuid>) {
        let goes = |id: &Uuid, touched: &Timestamp| *touched < before && !self.used.contains(id) && only.is_none_or(|only| only == *id);
        let units: BTreeSet<Uuid> = self.units.iter().filter(|(id, touched)| !goes(id, touched)).map(|(id, _)| *id).collect();
        let had: BTreeSet<Uuid> = self.links.iter().filter(|(unit, _)| units.contains(unit)).map(|(_, file)| *file).collect();
        let theirs = |file: &Uuid| only.is_none_or(|only| self.links.contains(&(only, *file)) && !units.contains(&only));
        let stays = |id: &Uuid, touched: &Timestamp| *touched >= before || had.contains(id) || !theirs(id);
        let files = self.files.iter().filter(|(id, touched, _)| stays(id, touched)).map(|(id, ..)| *id).collect();
        (units, files)
    }
}

/// Lets time pass: every moment that counts lies further back.
async fn pass(db: &Db, hours: i64) {
    for (table, column) in [
        ("core_content", "timestamp_of_interest"),
        ("core_artifact", "timestamp_of_interest"),
        ("core_orphanscan", "looked_until"),
        ("core_orphanscan", "complete_at"),
    ] {
        let moments: Vec<Timestamp> = db.column(format!("select distinct {column} from {table} order by {column}")).await.unwrap();
        for moment in moments {
            let sql = Sql::new(format!("update {table} set {column} = $1 where {column} = $2"));
            db.execute(sql.bind(moment - chrono::TimeDelta::hours(hours)).bind(moment)).await.unwrap();
        }
    }
}

impl World {
    async fn repository(&self, name: &str) -> Value {
        match self.client.list(&format!("{REPOSITORIES}?name={name}")).await.pop() {
            Some(repository) => repository,
            None => self.client.create(REPOSITORIES, json!({"name": name, "autopublish": false})).await,
        }
    }

    async fn the_unit(&self, unit: usize) -> Option<Value> {
        self.client.list(&format!("{FILES}?relative_path=u{unit}")).await.pop()
    }

    async fn clean_up(&self, body: Value) -> Value {
        self.client.wait(self.client.post("orphans/cleanup/", body).await).await
    }

    async fn act(&self, step: &Step) {
        let client = &self.client;
        let upload = async |unit: usize| self.unit(&format!("u{unit}"), &format!("text {unit}")).await;
        match step {
            Step::Upload(unit) => match self.the_unit(*unit).await {
                // Who uploads it again keeps it.
                Some(_) => {
                    let (path, text) = (format!("u{unit}"), format!("text {unit}"));
                    let again = client.post_form(FILES, &[("relative_path", &path)], Some(text.as_bytes())).await;
                    client.ended(&again.task()).await;
                }
                None => drop(upload(*unit).await),
            },
            Step::Loose(unit) => drop(client.post_form("artifacts/", &[], Some(format!("text {unit}").as_bytes())).await),
            Step::Add(repository, unit) => {
                let unit = match self.the_unit(*unit).await {
                    Some(unit) => href(&unit).to_owned(),
                    None => upload(*unit).await,
                };
                let repository = self.repository(&format!("r{repository}")).await;
                client.wait(client.post(&format!("{}modify/", href(&repository)), json!({"add_content_units": [unit]})).await).await;
            }
            Step::Remove(repository, unit) => {
                let repository = self.repository(&format!("r{repository}")).await;
                if let Some(unit) = self.the_unit(*unit).await {
                    let body = json!({"remove_content_units": [href(&unit)]});
                    client.wait(client.post(&format!("{}modify/", href(&repository)), body).await).await;
                }
            }
            Step::Publish(repository) => {
                let repository = self.repository(&format!("r{repository}")).await;
                client.create("publications/file/file/", json!({"repository": href(&repository)})).await;
            }
            Step::DeleteVersion(repository, which) => {
                let repository = self.repository(&format!("r{repository}")).await;
                let numbers = self.numbers(&repository).await;
                let answer = client.delete(&format!("{}versions/{}/", href(&repository), which.get(&numbers))).await;
                if answer.status == 202 {
                    client.ended(&answer.task()).await;
                }
            }
            Step::DeleteRepository(repository) => {
                let repository = self.repository(&format!("r{repository}")).await;
                client.wait(client.delete(href(&repository)).await).await;
            }
            Step::Wait(hours) => pass(self.kit.pulp().db(), *hours).await,
            Step::Clean(minutes) => self.clean_and_compare(*minutes, None).await,
            Step::CleanOne(unit, minutes) => {
                if let Some(unit) = self.the_unit(*unit).await {
                    self.clean_and_compare(*minutes, Some(href(&unit))).await;
                }
            }
        }
    }

    async fn clean_and_compare(&self, minutes: i64, only: Option<&str>) {
        let (pulp, before) = (self.kit.pulp(), Stock::of(self.kit.pulp().db()).await);
        let (body, named) = match only {
            None => (json!({"orphan_protection_time": minutes}), None),
            Some(unit) => {
                let id = unit.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap();
                (json!({"orphan_protection_time": minutes, "content_hrefs": [unit]}), Some(id))
            }
        };
        let expected = before.cleaned(pulp.now() - chrono::TimeDelta::minutes(minutes), named);
        let done = self.clean_up(body).await;
        let after = Stock::of(pulp.db()).await;
        assert_eq!(after.ids(), expected, "with {minutes} minutes of protection, of {before:#?}");
        let gone = [before.units.len() - after.units.len(), before.files.len() - after.files.len()];
        for (code, gone) in ["clean-up.content", "clean-up.artifacts"].into_iter().zip(gone) {
            let report = done["progress_reports"].as_array().unwrap().iter().find(|report| report["code"] == code).unwrap();
            assert_eq!((&report["done"], &report["total"], &report["state"]), (&json!(gone), &json!(gone), &json!("completed")));
        }
        for (id, _, file) in &before.files {
            let stored = pulp.storage().size(&file.parse().unwrap()).await.is_ok();
            assert_eq!(stored, expected.1.contains(id), "{file}");
        }
    }
}

both_databases! {
    async fn what_a_look_at_everything_would_find_is_found(world: Quiet) {
        let Quiet(world) = world;
        let history = prop::collection::vec(step(), 160).new_tree(&mut TestRunner::deterministic()).unwrap().current();
        for step in &history {
            world.act(step).await;
        }
        for hours in [1, 7] {
            pass(world.kit.pulp().db(), hours).await;
            world.clean_and_compare(5 * HOUR / 2, None).await;
        }
        // The journal keeps nothing that a pass has dealt with.
        for journal in ["core_releasedcontent", "core_releasedartifact"] {
            assert_eq!(world.kit.pulp().db().scalar::<i64>(format!("select count(*) from {journal}")).await.unwrap(), 0, "{journal}");
        }
    }

    async fn what_nothing_has_happened_to_is_not_looked_at_again_but_once_a_month(world: Quiet) {
        let Quiet(world) = world;
        let db = world.kit.pulp().db();
        world.unit("u1", "one").await;
        // The first pass looks at everything; one with a longer protection after it does not look back.
        world.clean_up(json!({"orphan_protection_time": 60})).await;
        pass(db, 5).await;
        world.clean_up(json!({"orphan_protection_time": 60 * 24})).await;
        let looked: Timestamp = db.scalar("select looked_until from core_orphanscan").await.unwrap();
        // As no code leaves it: unused, untouched since before that, and nothing has let go of it.
        for table in ["core_content", "core_artifact"] {
            let sql = Sql::new(format!("update {table} set timestamp_of_interest = $1"));
            db.execute(sql.bind(looked - chrono::TimeDelta::hours(1))).await.unwrap();
        }
        world.clean_up(json!({"orphan_protection_time": 0})).await;
        assert!(world.the_unit(1).await.is_some());
        db.execute(Sql::new("update core_orphanscan set complete_at = $1").bind(world.kit.pulp().now() - chrono::TimeDelta::days(31))).await.unwrap();
        world.clean_up(json!({"orphan_protection_time": 0})).await;
        assert!(world.the_unit(1).await.is_none());
        assert_eq!(db.scalar::<i64>("select count(*) from core_artifact").await.unwrap(), 0);
        // So does a mark that a clock in the future has set.
        world.unit("u1", "one").await;
        pass(db, 2).await;
        db.execute(Sql::new("update core_orphanscan set looked_until = $1").bind(world.kit.pulp().now() + chrono::TimeDelta::days(1))).await.unwrap();
        world.clean_up(json!({"orphan_protection_time": 0})).await;
        assert!(world.the_unit(1).await.is_none());
    }

    async fn what_is_let_go_of_while_another_transaction_is_under_way_is_seen_by_the_next_pass(world: Quiet) {
        let Quiet(world) = world;
        let db = world.kit.pulp().db();
        let repository = world.repository("r0").await;
        let unit = world.unit("u1", "one").await;
        world.add(&repository, &[&unit]).await;
        pass(db, 2).await;
        world.clean_up(json!({"orphan_protection_time": 60})).await;
        if db.dialect() == Dialect::Postgres {
            // Its last membership goes in a transaction that ends after a pass has looked.
            let tx = db.begin().await.unwrap();
            tx.execute("delete from core_repositorycontent").await.unwrap();
            world.clean_up(json!({"orphan_protection_time": 60})).await;
            tx.commit().await.unwrap();
        } else {
            db.execute("delete from core_repositorycontent").await.unwrap();
        }
        assert!(world.the_unit(1).await.is_some());
        world.clean_up(json!({"orphan_protection_time": 60})).await;
        assert!(world.the_unit(1).await.is_none());
    }
}
