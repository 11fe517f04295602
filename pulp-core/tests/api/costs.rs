//! What roles on single objects cost: not tests of anything but speed.
//!
//! `cargo test --workspace --release --test api -- --ignored --nocapture of_a_hundred_thousand`; without `--release` the shares are
//! much the same, as most of the time is the database's.

use std::time::{Duration, Instant};

use pulp_core::db::{Dialect, Executor as _, ExecutorExt, Sql, Value};
use pulp_core::ids::new_id;
use pulp_testkit::{Engine, Prepare};
use serde_json::json;
use uuid::Uuid;

use super::world::{REPOSITORIES, World, basic};

const REPOSITORIES_IN_ALL: usize = 100_000;
const WITH_A_ROLE: usize = 500;
const ROUNDS: usize = 41;
/// What everybody but the administrator logs in with.
const PASSWORD: &str = "correct-horse-9";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn roles_on_five_hundred_of_a_hundred_thousand() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(world) = World::prepare(engine).await else { continue };
        fill(&world).await;
        for list in [REPOSITORIES, "repositories/"] {
            for page in
                ["?limit=100", "?limit=100&offset=400", "?limit=100&ordering=name", "?limit=100&name__contains=99", "?limit=1&name=r77"]
            {
                let path = format!("{list}{page}");
                let [admin, own, grouped] = times(&world, &path).await;
                let share = |time: Duration| time.as_secs_f64() / admin.as_secs_f64();
                println!(
                    "{engine:?} {path}: administrator {admin:.2?}, own roles {own:.2?} = {:.2} x, roles of a group {grouped:.2?} = {:.2} x",
                    share(own),
                    share(grouped)
                );
            }
        }
    }
}

/// The median time of a list, as the administrator, by roles of one's own, and by those of a group.
async fn times(world: &World, path: &str) -> [Duration; 3] {
    let who = [basic("admin", "password"), basic("own", PASSWORD), basic("grouped", PASSWORD)];
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (authorization, times) in who.iter().zip(&mut times) {
            let start = Instant::now();
            let answer = world.send(http::Method::GET, path, &[("authorization", authorization)], "").await;
            times.push(start.elapsed());
            let list = answer.with(200);
            let seen = list["count"].as_u64().unwrap();
            assert!(seen > 0 && (*authorization == who[0] || seen <= WITH_A_ROLE as u64), "{path}: {seen}");
        }
    }
    times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2]
    })
}

/// Repositories, and two users: one has a role on some of them, the other has it by a group.
async fn fill(world: &World) {
    let (db, now, domain) = (world.pulp().db(), world.pulp().now(), world.pulp().default_domain().pulp_id);
    let ids: Vec<Uuid> = (0..REPOSITORIES_IN_ALL).map(|_| new_id()).collect();
    let tx = db.begin().await.unwrap();
    for (chunk, ids) in ids.chunks(500).enumerate() {
        let mut sql = Sql::new("insert into core_repository (pulp_id, pulp_created, pulp_type, name, pulp_domain_id) values ");
        sql.push_rows(
            ids.iter().enumerate().map(|(at, id)| {
                [Value::from(*id), now.into(), "shelf.shelf".into(), format!("r{}", chunk * 500 + at).into(), domain.into()]
            }),
        );
        tx.execute(sql).await.unwrap();
        let mut sql = Sql::new("insert into shelf_shelfrepository (repository_ptr_id) values ");
        sql.push_rows(ids.iter().map(|id| [Value::from(*id)]));
        tx.execute(sql).await.unwrap();
    }
    tx.commit().await.unwrap();
    let role = world.post("roles/", json!({"name": "viewer", "permissions": ["shelf.view_shelfrepository"]})).await.with(201);
    let role: Uuid = role["pulp_href"].as_str().unwrap().trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap();
    let own = world.post("users/", json!({"username": "own", "password": PASSWORD})).await.with(201)["id"].as_i64().unwrap();
    world.post("users/", json!({"username": "grouped", "password": PASSWORD})).await.with(201);
    let group = world.group("g", &["grouped"]).await;
    let group: i64 = group.trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap();
    let model = "select id from django_content_type where app_label = 'shelf' and model = 'shelfrepository'";
    let model: i64 = db.scalar(Sql::new(model)).await.unwrap();
    let step = REPOSITORIES_IN_ALL / WITH_A_ROLE;
    for (table, whose, key) in [("core_userrole", "user_id", own), ("core_grouprole", "group_id", group)] {
        let mut sql =
            Sql::new(format!("insert into {table} (pulp_id, pulp_created, object_id, content_type_id, role_id, {whose}) values "));
        sql.push_rows(
            ids.iter()
                .skip(77)
                .step_by(step)
                .map(|id| [Value::from(new_id()), now.into(), (*id).into(), model.into(), role.into(), key.into()]),
        );
        db.execute(sql).await.unwrap();
    }
    let analyse = if db.dialect() == Dialect::Postgres { "vacuum analyze" } else { "analyze" };
    db.execute(Sql::new(analyse)).await.unwrap();
}
