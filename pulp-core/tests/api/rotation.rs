//! Secrets under a new key.

use std::collections::BTreeSet;

use async_trait::async_trait;
use pulp_core::crypto::{Fernet, FernetKey};
use pulp_core::db::{Db, Dialect, Executor as _, ExecutorExt as _, Sql};
use pulp_core::settings::Settings;
use pulp_core::{Pulp, Rotation};
use pulp_testkit::{Engine, Prepare, both_databases};
use serde_json::json;

use super::world::{Count, REMOTES, Shelf, World};

struct Domains(World);

#[async_trait]
impl Prepare for Domains {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.domain_enabled = true;
        World::with(engine, settings).await.map(Self)
    }
}

/// All tokens of the database, by column: also of columns that nobody thought of here.
async fn tokens(db: &Db) -> BTreeSet<(String, String)> {
    let columns = match db.dialect() {
        Dialect::Sqlite => "select m.name, p.name from sqlite_master m join pragma_table_info(m.name) p where m.type = 'table'",
        Dialect::Postgres => {
            "select table_name::text, column_name::text from information_schema.columns where table_schema = current_schema()"
        }
    };
    let columns: Vec<(String, String)> = db.all(Sql::new(columns)).await.unwrap();
    let mut all = BTreeSet::new();
    for (table, column) in columns {
        let text = format!("cast(\"{column}\" as text)");
        let found: Vec<(String,)> = db.all(Sql::new(format!("select {text} from \"{table}\" where {text} like '%gAAAA%'"))).await.unwrap();
        all.extend(found.into_iter().map(|(token,)| (format!("{table}.{column}"), token.trim_matches('"').to_owned())));
    }
    all
}

/// The same database, with these keys.
async fn opened(world: &World, keys: &[&FernetKey]) -> Pulp {
    let database = world.kit.database();
    let keys = Fernet::new(keys.iter().copied().cloned().collect()).unwrap();
    Pulp::builder().data_dir(database.dir()).database(database.url()).plugin(Shelf).keys(keys).build().await.unwrap()
}

both_databases! {
    async fn all_secrets_are_encrypted_anew(domains: Domains) {
        let world = domains.0;
        let base = "/pulp/default/api/v3/";
        let storage = json!({"name": "d", "storage_class": "pulpcore.app.models.storage.FileSystem",
            "storage_settings": {"MEDIA_ROOT": world.kit.database().dir().join("d")}});
        world.post(&format!("{base}domains/"), storage).await.with(201);
        for (path, body) in [
            (REMOTES, json!({"name": "r", "url": "http://x/", "username": "u", "password": "p", "client_key": "k", "proxy_url": "http://p",
                "proxy_username": "u", "proxy_password": "p"})),
            ("contentguards/core/content_redirect/", json!({"name": "g"})),
            ("webhooks/", json!({"name": "w", "url": "http://x/", "events": ["task.finished"], "secret": "s"})),
            ("upstream-pulps/", json!({"name": "u", "base_url": "http://x/", "api_root": "/pulp/", "username": "u", "password": "p"})),
        ] {
            world.post(&format!("{base}{path}"), body).await.with(201);
        }
        // No worker takes it, so that its arguments stay.
        world.pulp().tasks().dispatch(Count { to: 1, pause_ms: 0 }, Default::default()).await.unwrap();
        let before = tokens(world.pulp().db()).await;
        let columns: BTreeSet<&str> = before.iter().map(|(column, _)| column.as_str()).collect();
        for column in ["core_domain.storage_settings", "core_task.args", "core_remote.proxy_password", "core_webhook.secret",
            "core_upstreampulp.password", "core_contentredirectcontentguard.shared_secret"] {
            assert!(columns.contains(column), "{column} is not in {columns:?}");
        }
        world.pulp().db().close().await;

        let text = std::fs::read_to_string(world.kit.database().dir().join("database_fields.symmetric.key")).unwrap();
        let (old, new, foreign): (FernetKey, _, _) = (text.trim().parse().unwrap(), FernetKey::generate().unwrap(), FernetKey::generate().unwrap());
        let pulp = opened(&world, &[&new, &old]).await;
        let all = before.len() as u64;
        assert_eq!(pulp.rotate_secrets().await.unwrap(), Rotation { changed: all, ..Rotation::default() });
        assert_eq!(pulp.rotate_secrets().await.unwrap(), Rotation { current: all, ..Rotation::default() });
        let after = tokens(pulp.db()).await;
        assert!(after.len() == before.len() && after.is_disjoint(&before));
        let only_new = Fernet::new(vec![new]).unwrap();
        for (column, token) in &after {
            assert!(only_new.decrypt(token).is_ok(), "{column}");
        }
        pulp.db().close().await;

        // What cannot be read is left as it is, and named.
        let pulp = opened(&world, &[&foreign]).await;
        let done = pulp.rotate_secrets().await.unwrap();
        assert_eq!((done.changed, done.current, done.unreadable.len() as u64), (0, 0, all), "{done:?}");
        assert!(done.unreadable.iter().any(|place| place.starts_with("core_remote.password of ")), "{done:?}");
        assert_eq!(tokens(pulp.db()).await, after);
    }
}
