use std::collections::BTreeSet;

use pulp_migrations::{CORE, FILE};
use pulp_testkit::{Engine, TestDatabase};

use super::*;
use crate::Pulp;
use crate::ids::new_id;
use crate::model::TreeFile;
use crate::model::tree::Side;
use crate::version::create_repository;

struct World {
    pulp: Pulp,
    _database: TestDatabase,
}

impl World {
    async fn on(engine: Engine) -> Option<Self> {
        let database = TestDatabase::migrated(engine, &[CORE, FILE]).await?;
        let pulp = Pulp::builder().data_dir(database.dir()).database(database.url()).build().await.unwrap();
        Some(Self { pulp, _database: database })
    }

    /// A repository whose version 1 has units at these paths.
    async fn repository(&self, name: &str, paths: &[String]) -> Tree {
        let (db, domain, now) = (self.pulp.db(), self.pulp.default_domain().pulp_id, self.pulp.now());
        let repository = create_repository(db, "test.test", name, domain, now).await.unwrap().pulp_id;
        let version = new_id();
        let sql = Sql::new(
            "insert into core_repositoryversion (pulp_id, pulp_created, repository_id, number, complete) values ($1, $2, $3, 1, true)",
        );
        db.execute(sql.bind(version).bind(now).bind(repository)).await.unwrap();
        for path in paths {
            let unit = new_id();
            let sql = Sql::new(
                "insert into core_content (pulp_id, pulp_created, pulp_type, timestamp_of_interest, pulp_domain_id) \
                 values ($1, $2, 'test.unit', $2, $3)",
            );
            db.execute(sql.bind(unit).bind(now).bind(domain)).await.unwrap();
            let sql =
                Sql::new("insert into core_contentartifact (pulp_id, pulp_created, relative_path, content_id) values ($1, $2, $3, $4)");
            db.execute(sql.bind(new_id()).bind(now).bind(path.as_str()).bind(unit)).await.unwrap();
            let sql = Sql::new(
                "insert into core_repositorycontent (pulp_id, pulp_created, content_id, repository_id, version_added_id) \
                 values ($1, $2, $3, $4, $5)",
            );
            db.execute(sql.bind(new_id()).bind(now).bind(unit).bind(repository).bind(version)).await.unwrap();
        }
        Tree::Version { repository, number: 1 }
    }

    async fn by_path(&self, tree: Tree, directory: &str, cursor: &Cursor, limit: u32, most: i64) -> Option<Vec<TreeEntry>> {
        let Tree::Version { repository, number } = tree else { panic!("a version") };
        by_path(self.pulp.db(), (repository, number), &Range::of(directory, cursor), limit, most).await.unwrap()
    }
}

fn cursors(directory: &str) -> Vec<Cursor> {
    vec![
        Cursor::From(directory.to_owned()),
        Cursor::After(format!("{directory}07")),
        Cursor::From(format!("{directory}c")),
        Cursor::Before(None),
        Cursor::Before(Some(format!("{directory}c/"))),
    ]
}

async fn both_sides_tell_the_same(engine: Engine) {
    let Some(world) = World::on(engine).await else { return };
    let mine: Vec<String> = (0..40).flat_map(|at| [format!("{at:02}"), format!("a/{at:02}"), format!("b c/d/{at:02}\u{e9}")]).collect();
    let theirs: Vec<String> = (0..60).flat_map(|at| [format!("{at:02}"), format!("a/{at:02}x"), format!("z{at}")]).collect();
    let (mine, theirs) = (world.repository("mine", &mine).await, world.repository("theirs", &theirs).await);
    let db = world.pulp.db();
    for tree in [mine, theirs] {
        let mut seen = BTreeSet::new();
        for directory in ["", "a/", "b c/", "nothing/"] {
            for cursor in cursors(directory) {
                for limit in [1, 7, 500] {
                    let wanted = Tree::entries_by_unit(&[tree], db, &Range::of(directory, &cursor), limit).await.unwrap();
                    let found = world.by_path(tree, directory, &cursor, limit, 10_000).await;
                    assert_eq!(found.as_ref(), Some(&wanted), "{directory:?} {cursor:?} {limit}");
                    seen.extend(wanted.into_iter().map(|entry| entry.relative_path));
                }
            }
        }
        assert!(seen.len() > 100, "{seen:?}");
        for path in ["03", "a/03", "a/03x", "b c/d/00\u{e9}", "nothing"] {
            let units: Option<TreeFile> = tree.find_from(Side::Units, db, path).await.unwrap();
            assert_eq!(tree.find_from(Side::Paths, db, path).await.unwrap(), units, "{path}");
            assert_eq!(tree.find(db, path).await.unwrap(), units, "{path}");
        }
    }
    // Where so many units have a path that not all of them are looked at.
    let crowd = world.repository("crowd", &vec!["crowded".to_owned(); 250]).await;
    let one = world.repository("one", &["crowded".to_owned()]).await;
    for tree in [crowd, one, mine] {
        let wanted = tree.find_from(Side::Units, db, "crowded").await.unwrap();
        assert_eq!(wanted.is_some(), tree != mine);
        assert_eq!(tree.find(db, "crowded").await.unwrap(), wanted);
    }
    // The first tree that has a file at the path has it.
    for (trees, path) in [([mine, theirs], "03"), ([theirs, mine], "03"), ([mine, theirs], "a/03x"), ([mine, one], "crowded")] {
        let wanted = match trees[0].find(db, path).await.unwrap() {
            Some(file) => Some(file),
            None => trees[1].find(db, path).await.unwrap(),
        };
        assert!(wanted.is_some());
        for failed_after in [None, Some(world.pulp.now())] {
            let located = Tree::locate_in(&trees, db, path, failed_after).await.unwrap();
            assert_eq!(located.map(|located| located.file), wanted, "{path}");
        }
    }
    // Where nearly all paths are of others, the units of the version are the shorter way, and that shows early.
    let first = Cursor::From("z".to_owned());
    assert_eq!(world.by_path(mine, "", &first, 5, 25).await, None);
    assert_eq!(world.by_path(mine, "", &first, 5, 1_000).await, Some(Vec::new()));
}

#[tokio::test]
async fn both_sides_tell_the_same_sqlite() {
    both_sides_tell_the_same(Engine::Sqlite).await;
}

#[tokio::test]
async fn both_sides_tell_the_same_postgres() {
    both_sides_tell_the_same(Engine::Postgres).await;
}
