//! Random histories against a naive model, and the rules one by one.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use proptest::prelude::*;
use pulp_migrations::{CORE, FILE};
use pulp_testkit::{Engine, TestDatabase};
use uuid::Uuid;

use super::*;
use crate::Pulp;
use crate::db::{ExecutorExt, Sql};
use crate::ids::new_id;
use crate::model::{Model, Repository, RepositoryVersion};

/// No rules at all: the model knows none either.
struct Anything;

#[async_trait]
impl RepositoryType for Anything {
    fn pulp_type(&self) -> &'static str {
        "test.test"
    }
    fn model(&self) -> &'static str {
        "test.testrepository"
    }
    fn collection(&self) -> &'static str {
        "repositories/test/test"
    }
    fn unit_types(&self) -> &'static [&'static str] {
        &["test.unit"]
    }
    async fn finalize(&self, _: &mut VersionDraft) -> Result<()> {
        Ok(())
    }
}

/// Paths must not collide.
struct Paths;

#[async_trait]
impl RepositoryType for Paths {
    fn pulp_type(&self) -> &'static str {
        "test.paths"
    }
    fn model(&self) -> &'static str {
        "test.pathsrepository"
    }
    fn collection(&self) -> &'static str {
        "repositories/test/paths"
    }
    fn unit_types(&self) -> &'static [&'static str] {
        &["test.unit"]
    }
}

struct World {
    pulp: Pulp,
    repository: Repository,
    units: Vec<Uuid>,
    _database: TestDatabase,
}

impl World {
    async fn with_units(paths: &[&str]) -> Self {
        Self::on(Engine::Sqlite, paths).await.unwrap()
    }

    /// `None` where the database is not installed, and need not be.
    async fn on(engine: Engine, paths: &[&str]) -> Option<Self> {
        let database = TestDatabase::migrated(engine, &[CORE, FILE]).await?;
        let pulp = Pulp::builder().data_dir(database.dir()).database(database.url()).build().await.unwrap();
        let repository = create_repository(pulp.db(), "test.test", "history", pulp.default_domain().pulp_id, pulp.now()).await.unwrap();
        let mut units = Vec::new();
        for path in paths {
            let id = new_id();
            let sql = Sql::new(
                "insert into core_content (pulp_id, pulp_created, pulp_type, timestamp_of_interest, pulp_domain_id) \
                 values ($1, $2, 'test.unit', $2, $3)",
            );
            pulp.db().execute(sql.bind(id).bind(pulp.now()).bind(pulp.default_domain().pulp_id)).await.unwrap();
            let sql =
                Sql::new("insert into core_contentartifact (pulp_id, pulp_created, relative_path, content_id) values ($1, $2, $3, $4)");
            pulp.db().execute(sql.bind(new_id()).bind(pulp.now()).bind(*path).bind(id)).await.unwrap();
            units.push(id);
        }
        Some(Self { pulp, repository, units, _database: database })
    }

    async fn begin(&self) -> VersionDraft {
        VersionDraft::begin(self.pulp.db(), self.repository.pulp_id, None, self.pulp.now()).await.unwrap()
    }

    async fn version(&self, number: i64) -> RepositoryVersion {
        let sql = Sql::new("select * from core_repositoryversion where repository_id = $1 and number = $2");
        self.pulp.db().one(sql.bind(self.repository.pulp_id).bind(number)).await.unwrap()
    }

    async fn members(&self, members: Members) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut after = None;
        loop {
            let page = members.page(self.pulp.db(), after, 3).await.unwrap();
            assert_eq!(members.end_of_page(self.pulp.db(), after, 3).await.unwrap(), page.last().copied());
            let Some(last) = page.last() else { return all };
            after = Some(*last);
            for unit in page {
                let index = self.units.iter().position(|known| *known == unit).unwrap();
                assert!(all.insert(index), "a unit is in a version twice");
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Modify {
        add: Vec<usize>,
        remove: Vec<usize>,
        clear: bool,
        base: Option<usize>,
    },
    Mirror {
        to: Vec<usize>,
    },
    Delete {
        which: usize,
    },
    /// A draft that its task never finished.
    Die {
        add: Vec<usize>,
        remove: Vec<usize>,
    },
}

const UNITS: usize = 7;

fn step() -> impl Strategy<Value = Step> {
    let units = || prop::collection::vec(0..UNITS, 0..5);
    prop_oneof![
        4 => (units(), units(), prop::bool::weighted(0.1), prop::option::weighted(0.3, 0..20_usize))
            .prop_map(|(add, remove, clear, base)| Step::Modify { add, remove, clear, base }),
        1 => units().prop_map(|to| Step::Mirror { to }),
        3 => (0..20_usize).prop_map(|which| Step::Delete { which }),
        1 => (units(), units()).prop_map(|(add, remove)| Step::Die { add, remove }),
    ]
}

fn picked(world: &World, indices: &[usize]) -> Vec<Uuid> {
    indices.iter().map(|index| world.units[*index]).collect()
}

async fn play(engine: Engine, steps: Vec<Step>) {
    let Some(world) = World::on(engine, &["0", "1", "2", "3", "4", "5", "6"]).await else { return };
    let mut model: BTreeMap<i64, BTreeSet<usize>> = BTreeMap::from([(0, BTreeSet::new())]);
    let mut next = 1;
    for step in steps {
        let (_, latest) = model.last_key_value().map(|(n, c)| (*n, c.clone())).unwrap();
        match step {
            Step::Modify { add, remove, clear, base } => {
                let number = base.map(|base| *model.keys().nth(base % model.len()).unwrap());
                let base = match number {
                    Some(number) => Some(world.version(number).await),
                    None => None,
                };
                let mut wanted = number.map_or(latest.clone(), |number| model[&number].clone());
                let mut draft =
                    VersionDraft::begin(world.pulp.db(), world.repository.pulp_id, base.as_ref(), world.pulp.now()).await.unwrap();
                if clear {
                    draft.remove_all().await.unwrap();
                    wanted.clear();
                }
                draft.remove(&picked(&world, &remove)).await.unwrap();
                wanted.retain(|unit| !remove.contains(unit));
                draft.add(&picked(&world, &add)).await.unwrap();
                wanted.extend(&add);
                let made = draft.commit(&Anything).await.unwrap();
                assert_eq!(made.is_some(), wanted != latest, "a version is made if and only if something changed");
                if let Some(version) = made {
                    assert_eq!(version.number, next);
                    model.insert(next, wanted);
                    next += 1;
                }
            }
            Step::Mirror { to } => {
                let mut draft = world.begin().await;
                draft.mirror();
                draft.add(&picked(&world, &to)).await.unwrap();
                let wanted: BTreeSet<usize> = to.into_iter().collect();
                let made = draft.commit(&Anything).await.unwrap();
                assert_eq!(made.is_some(), wanted != latest);
                if made.is_some() {
                    model.insert(next, wanted);
                    next += 1;
                }
            }
            Step::Delete { which } => {
                let number = *model.keys().nth(which % model.len()).unwrap();
                let version = world.version(number).await;
                let deleted = delete_version(world.pulp.db(), &version).await;
                assert_eq!(deleted.is_ok(), model.len() > 1);
                if deleted.is_ok() {
                    model.remove(&number);
                }
            }
            Step::Die { add, remove } => {
                let mut draft = world.begin().await;
                draft.add(&picked(&world, &add)).await.unwrap();
                draft.remove(&picked(&world, &remove)).await.unwrap();
                drop(draft);
            }
        }
        check(&world, &model).await;
    }
}

/// Every version has what the model says; counts and differences follow.
async fn check(world: &World, model: &BTreeMap<i64, BTreeSet<usize>>) {
    let mut previous = BTreeSet::new();
    for (number, wanted) in model {
        let version = world.version(*number).await;
        assert_eq!(&world.members(Members::of(&version)).await, wanted, "content of version {number}");
        let held = Members::held(world.pulp.db(), &version).await.unwrap();
        assert_eq!(&world.members(held).await, wanted, "content of version {number}, of which it was looked whether it is the last");
        let added: BTreeSet<usize> = wanted.difference(&previous).copied().collect();
        let removed: BTreeSet<usize> = previous.difference(wanted).copied().collect();
        assert_eq!(world.members(Members::AddedBy { version: version.pulp_id }).await, added, "added by {number}");
        assert_eq!(world.members(Members::RemovedBy { version: version.pulp_id }).await, removed, "removed by {number}");
        let summary = content_summary(world.pulp.db(), version.pulp_id).await.unwrap();
        let count = |which| summary.get(&which).map_or(0, |counts| counts.iter().map(|count| count.count).sum::<i64>()) as usize;
        assert_eq!(
            (count(CountType::Present), count(CountType::Added), count(CountType::Removed)),
            (wanted.len(), added.len(), removed.len()),
            "counts of version {number}"
        );
        previous.clone_from(wanted);
    }
    let (first, last) = (model.first_key_value().unwrap(), model.last_key_value().unwrap());
    for (from, to) in [(first, last), (last, first)] {
        let between = Members::Between { repository: world.repository.pulp_id, from: *from.0, to: *to.0 };
        let wanted: BTreeSet<usize> = to.1.difference(from.1).copied().collect();
        assert_eq!(world.members(between).await, wanted, "from {} to {}", from.0, to.0);
    }
    for (from, to) in model.iter().zip(model.iter().skip(1)) {
        let (before, after) = (world.version(*from.0).await, world.version(*to.0).await);
        let added = world.members(Members::difference(&after, &before)).await;
        let removed = world.members(Members::difference(&before, &after)).await;
        assert_eq!(added, to.1.difference(from.1).copied().collect(), "added from {} to {}", from.0, to.0);
        assert_eq!(removed, from.1.difference(to.1).copied().collect(), "removed from {} to {}", from.0, to.0);
    }
}

fn run(engine: Engine, steps: Vec<Step>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(play(engine, steps));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn any_history_reads_as_the_model_says(steps in prop::collection::vec(step(), 1..14)) {
        run(Engine::Sqlite, steps);
    }

    #[test]
    fn any_history_reads_as_the_model_says_on_postgres(steps in prop::collection::vec(step(), 1..14)) {
        run(Engine::Postgres, steps);
    }
}

#[tokio::test]
async fn colliding_paths_are_refused_and_leave_nothing() {
    for (there, added, message) in [
        ("a", "a", "Path is duplicated: a"),
        ("a", "a/b/c", "The path for file 'a/b/c' overlaps: a"),
        ("a/b/c", "a/b", "The path for file 'a/b/c' overlaps: a/b"),
    ] {
        let world = World::with_units(&[there, added, "a-b", "a0"]).await;
        let mut draft = world.begin().await;
        draft.add(&picked(&world, &[0, 2, 3])).await.unwrap();
        draft.commit(&Paths).await.unwrap().unwrap();
        let mut draft = world.begin().await;
        draft.add(&picked(&world, &[1])).await.unwrap();
        let error = draft.commit(&Paths).await.unwrap_err().to_string();
        assert!(error.starts_with("Repository version errors : Path errors found. \n") && error.ends_with(message), "{error}");
        let left: i64 = world.pulp.db().scalar("select count(*) from core_repositorycontent").await.unwrap();
        let versions: i64 = world.pulp.db().scalar("select count(*) from core_repositoryversion").await.unwrap();
        assert_eq!((left, versions), (3, 2));
    }
}

#[tokio::test]
async fn what_is_held_of_the_last_version_needs_no_numbers() {
    let world = World::with_units(&["0", "1"]).await;
    let mut draft = world.begin().await;
    draft.add(&picked(&world, &[0])).await.unwrap();
    draft.commit(&Anything).await.unwrap().unwrap();
    let (repository, version) = (world.repository.pulp_id, world.version(1).await);
    let held = async || Members::held(world.pulp.db(), &version).await.unwrap();
    assert_eq!(held().await, Members::Last { repository });
    // What a draft has added is there already, though no version has it.
    let mut draft = world.begin().await;
    draft.add(&picked(&world, &[1])).await.unwrap();
    assert_eq!(held().await, Members::Of { repository, number: 1 });
}

#[tokio::test]
async fn only_so_many_versions_are_kept_and_those_that_are_served() {
    let world = World::with_units(&["0", "1", "2", "3", "4"]).await;
    let keep = Sql::new("update core_repository set retain_repo_versions = 2 where pulp_id = $1").bind(world.repository.pulp_id);
    world.pulp.db().execute(keep).await.unwrap();
    for unit in 0..5 {
        let mut draft = world.begin().await;
        draft.add(&picked(&world, &[unit])).await.unwrap();
        let version = draft.commit(&Anything).await.unwrap().unwrap();
        if unit == 1 {
            let serve = Sql::new(
                "insert into core_distribution (pulp_id, pulp_created, pulp_type, name, base_path, repository_version_id, pulp_domain_id) \
                 values ($1, $2, 'test.test', 'd', 'd', $3, $4)",
            );
            let serve = serve.bind(new_id()).bind(world.pulp.now()).bind(version.pulp_id).bind(world.pulp.default_domain().pulp_id);
            world.pulp.db().execute(serve).await.unwrap();
        }
    }
    let numbers: Vec<i64> = world.pulp.db().column("select number from core_repositoryversion order by number").await.unwrap();
    assert_eq!(numbers, [2, 4, 5]);
    assert_eq!(world.members(Members::of(&world.version(2).await)).await, BTreeSet::from([0, 1]));
    assert_eq!(world.members(Members::of(&world.version(5).await)).await, BTreeSet::from([0, 1, 2, 3, 4]));
    let found = Repository::find(world.pulp.db(), world.repository.pulp_id).await.unwrap();
    assert_eq!(found.next_version, 6);
}
