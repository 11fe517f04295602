//! Each kind of damage is done once, and must be found.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use pulp_core::crypto::password;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::model::User;
use pulp_core::tasks::Workers;
use serde_json::json;
use uuid::Uuid;

use super::rows::REFERENCES;
use super::{Checker, Finding};
use crate::{Client, Engine, Kit, Prepare, Server, Upstream, both_databases};

/// A Pulp that has something of everything, and is at rest.
struct World {
    kit: Kit,
    known: BTreeSet<Finding>,
}

#[async_trait]
impl Prepare for World {
    async fn prepare(engine: Engine) -> Option<Self> {
        let kit = Kit::new(engine).await?;
        let hash = password::make("password", 1_000).unwrap();
        User::create_superuser(kit.pulp().db(), "admin", &hash, kit.pulp().now()).await.unwrap();
        let api = kit.pulp().api();
        let server = Server::start(move |request| {
            let api = api.clone();
            async move { api.handle(request).await }
        })
        .await;
        let workers = Workers::start(kit.pulp(), 2).await.unwrap();
        fill(&server.client().basic_auth("admin", "password")).await;
        drop(workers);
        Some(Self { kit, known: BTreeSet::new() })
    }
}

async fn fill(client: &Client) {
    let upstream = Upstream::start().await.generate(5, 300, 1).file("old", "old").manifest();
    let isos = client.file_repo("isos").remote(&upstream).sync().publish().distribute().await;
    upstream.remove("old");
    upstream.put("more", "more");
    upstream.write_manifest();
    client.wait(client.post(&format!("{}sync/", isos.href()), json!({"mirror": true})).await).await;
    client.file_repo("lazy").remote(&upstream).policy("on_demand").sync().await;
    let upload = client.create("uploads/", json!({"size": 6})).await;
    let upload = upload["pulp_href"].as_str().unwrap();
    for (start, chunk) in [(0, b"abc"), (3, b"def")] {
        client.put_chunk(upload, start, 6, chunk).await.ok();
    }
}

impl World {
    fn dir(&self) -> &Path {
        self.kit.database().dir()
    }

    fn media(&self, path: &str) -> PathBuf {
        self.dir().join("media").join(path)
    }

    async fn checker(&self) -> Checker {
        Checker::new(&self.kit.database().url(), self.dir()).await
    }

    async fn run(&self, sql: impl Into<Sql> + Send) {
        assert_ne!(self.kit.pulp().db().execute(sql).await.unwrap(), 0, "no damage was done");
    }

    /// A key, or a text.
    async fn one<T: pulp_core::db::Column>(&self, sql: &str) -> T {
        self.kit.pulp().db().scalar(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Now there is a new finding of this rule that names this.
    #[track_caller]
    fn found(&mut self, now: Vec<Finding>, rule: &str, name: &str) {
        let now: BTreeSet<Finding> = now.into_iter().collect();
        let new: Vec<String> =
            now.difference(&self.known).filter(|finding| finding.rule == rule).map(|finding| finding.what.clone()).collect();
        assert!(new.iter().any(|what| what.contains(name)), "{rule}: {name} is not found, but {new:?} of {now:#?}");
        self.known = now;
    }

    /// Does damage by a statement, and looks whether it is found.
    async fn damage(&mut self, rule: &str, name: impl ToString, sql: Sql) {
        self.run(sql).await;
        let now = self.checker().await.check().await;
        self.found(now, rule, &name.to_string());
    }

    /// The same by a file that should not be there.
    async fn litter(&mut self, rule: &str, path: &str) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "litter").unwrap();
        let now = self.checker().await.check().await;
        self.found(now, rule, path.to_str().unwrap());
    }

    async fn second_domain(&self) -> Uuid {
        let id = Uuid::now_v7();
        let sql = "insert into core_domain (pulp_id, pulp_created, name, storage_class) select $1, pulp_created, 'second', storage_class from core_domain";
        self.run(Sql::new(sql).bind(id)).await;
        id
    }
}

fn sql(text: impl Into<String>) -> Sql {
    Sql::new(text)
}

both_databases! {
    async fn damage_to_files_is_found(world: World) {
        let mut world = world;
        assert_eq!(world.checker().await.check().await, []);
        let none = "0".repeat(62);

        // Files that no row has, unless they are young.
        for (rule, path) in [
            ("a file has no row", format!("media/artifact/ab/{none}")),
            ("a file has no row", format!("media/artifact/{}/ab/{none}", Uuid::nil())),
            ("a file has no row", format!("media/upload/{}/{}", Uuid::nil(), Uuid::nil())),
            ("a process that is gone has left its area of the spool", format!("media/.spool/area-{}/held", "0".repeat(32))),
            ("a process that is gone has left its area of the spool", format!("media/.incoming/area-{}/held", "0".repeat(32))),
            ("a file was left in the spool", format!("media/.spool/area-{}/3/17", "0".repeat(32))),
            ("a file was left in the spool", format!("spool/area-{}/3/17.0-sha256-00", "0".repeat(32))),
            ("a file of a check was left", format!("media/check/{}", "0".repeat(64))),
        ] {
            world.litter(rule, &path).await;
        }
        assert_eq!(world.checker().await.forgive(Duration::from_secs(600)).check().await, []);
        // What nobody knows is told however young it is.
        for path in ["core.17", "media/artifact/readme", "media/.spool/odd"] {
            world.litter("nobody knows what this file is", path).await;
        }
        let link = world.media("artifact/link");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        let now = world.checker().await.check().await;
        world.found(now, "nobody knows what this file is", "artifact/link");
        assert_eq!(world.checker().await.forgive(Duration::from_secs(600)).check().await.len(), 4);
        assert!(!world.checker().await.also("core.17").check().await.iter().any(|finding| finding.what.ends_with("core.17")));
        let partial = world.media(".spool/partial/0-sha256-00");
        fs::create_dir_all(partial.parent().unwrap()).unwrap();
        fs::write(&partial, "beginning").unwrap();
        let now = world.checker().await.check().await;
        assert_eq!(now.into_iter().collect::<BTreeSet<_>>(), world.known, "a beginning is kept for a day");
        File::options().write(true).open(&partial).unwrap().set_modified(SystemTime::now() - Duration::from_secs(30 * 3_600)).unwrap();
        let now = world.checker().await.check().await;
        world.found(now, "the beginning of a file was left in the spool", partial.to_str().unwrap());

        // Rows that have no file, or another one.
        let files: Vec<String> = world.kit.pulp().db().column("select file from core_artifact order by pulp_id").await.unwrap();
        fs::remove_file(world.media(&files[0])).unwrap();
        let now = world.checker().await.check().await;
        world.found(now, "a row has no file", &files[0]);
        fs::remove_file(world.media(&files[1])).unwrap();
        fs::create_dir(world.media(&files[1])).unwrap();
        let now = world.checker().await.check().await;
        world.found(now, "a row has no file", &files[1]);
        let mut bytes = fs::read(world.media(&files[2])).unwrap();
        bytes[0] ^= 1;
        fs::write(world.media(&files[2]), bytes).unwrap();
        let now = world.checker().await.check().await;
        world.found(now, "a file has another digest than its row says", &format!("{} (sha256)", files[2]));
        fs::write(world.media(&files[3]), "").unwrap();
        let now = world.checker().await.check().await;
        world.found(now, "a file has another size than its row says", &files[3]);
        for algorithm in ["md5", "sha1", "sha224", "sha384", "sha512"] {
            let damage = sql(format!("update core_artifact set {algorithm} = 'ab' where file = $1")).bind(&files[4]);
            world.damage("a file has another digest than its row says", format!("{} ({algorithm})", files[4]), damage).await;
        }
        world.damage("a file has another size than its row says", &files[4], sql("update core_artifact set size = size + 1 where file = $1").bind(&files[4])).await;
        let elsewhere = format!("artifact/ab/{none}");
        world.damage("an artifact lies in the wrong place", &elsewhere, sql("update core_artifact set file = $1 where file = $2").bind(&elsewhere).bind(&files[5])).await;

        // Chunks and temporary files.
        let chunks: Vec<String> = world.kit.pulp().db().column("select file from core_uploadchunk order by pulp_id").await.unwrap();
        fs::remove_file(world.media(&chunks[0])).unwrap();
        let now = world.checker().await.check().await;
        world.found(now, "a row has no file", &chunks[0]);
        fs::write(world.media(&chunks[1]), "defg").unwrap();
        let now = world.checker().await.check().await;
        world.found(now, "a file has another size than its row says", &chunks[1]);
        let temporary = "insert into core_pulptemporaryfile (pulp_id, pulp_created, file, pulp_domain_id) select pulp_id, pulp_created, 'tmp/x', pulp_id from core_domain";
        world.damage("a row has no file", "tmp/x", sql(temporary)).await;
        fs::create_dir(world.media("tmp")).unwrap();
        fs::write(world.media("tmp/x"), "x").unwrap();
        assert!(!world.checker().await.check().await.iter().any(|finding| finding.what.contains("tmp/x")));
    }

    async fn damage_to_rows_is_found(world: World) {
        let mut world = world;
        let second = world.second_domain().await;
        let unit: Uuid = world.one("select content_ptr_id from file_filecontent order by content_ptr_id limit 1").await;
        let other: Uuid = world.one("select content_ptr_id from file_filecontent order by content_ptr_id desc limit 1").await;
        let repository: Uuid = world.one("select pulp_id from core_repository where name = 'isos'").await;
        let new = Uuid::now_v7();

        let units: i64 = world.one("select count(*) from core_content where pulp_type = 'file.file'").await;
        let wrong = "update core_contentcount set units = units - 1 where pulp_type = 'file.file'";
        world.damage("units are counted wrong", format!("{} of file.file in domain", units - 1), sql(wrong)).await;
        let distribution: Uuid = world.one("select pulp_id from core_distribution").await;
        world.damage("a row has no row of its type", distribution, sql("delete from file_filedistribution")).await;
        world.damage("a row has several rows of types", repository, sql("insert into core_openpgpkeyring (repository_ptr_id) values ($1)").bind(repository)).await;
        let alone = "insert into file_filecontent (content_ptr_id, relative_path, digest, _pulp_domain_id) select $1, 'x', 'y', pulp_id from core_domain where name = 'default'";
        world.damage("a row of a type has no base row", new, sql(alone).bind(new)).await;
        let nowhere = "insert into core_contentartifact (pulp_id, pulp_created, relative_path, content_id) select $1, pulp_created, 'nowhere', pulp_id from core_content where pulp_id = $2";
        world.damage("a file can be had from nowhere", new, sql(nowhere).bind(new).bind(unit)).await;
        let file: Uuid = world.one("select pulp_id from core_contentartifact where artifact_id is not null order by pulp_id limit 1").await;
        world.damage("a file lies in another domain than its unit", file, sql("update core_artifact set pulp_domain_id = $1 where pulp_id = (select artifact_id from core_contentartifact where pulp_id = $2)").bind(second).bind(file)).await;
        let metadata: Uuid = world.one("select content_ptr_id from core_publishedmetadata").await;
        world.damage("published metadata has no file", metadata, sql("update core_contentartifact set artifact_id = null where content_id = $1").bind(metadata)).await;
        world.damage("a unit has another file than it says", unit, sql("update file_filecontent set digest = 'x' where content_ptr_id = $1").bind(unit)).await;
        world.damage("a unit has no file", unit, sql("update file_filecontent set relative_path = 'moved' where content_ptr_id = $1").bind(unit)).await;
        world.damage("a unit is in two domains", other, sql("update file_filecontent set _pulp_domain_id = $1 where content_ptr_id = $2").bind(second).bind(other)).await;
        world.damage("a unit of another domain is in a repository", "core_repositorycontent", sql("update core_content set pulp_domain_id = $1 where pulp_id = $2").bind(second).bind(unit)).await;
        for (table, holder, of) in [("core_userrole", "user_id", "auth_user"), ("core_grouprole", "group_id", "auth_group")] {
            world.kit.pulp().db().execute("insert into auth_group (name) select cast(count(*) as text) from auth_group").await.unwrap();
            let key = Uuid::now_v7();
            let role = format!(
                "insert into {table} (pulp_id, pulp_created, object_id, content_type_id, role_id, {holder}) select $1, role.pulp_created, $2, kind.id, role.pulp_id, holder.id \
                 from core_role role, django_content_type kind, {of} holder where kind.model = 'filerepository' order by role.pulp_id limit 1"
            );
            world.damage("a role is given on what is not there", key, sql(role).bind(key).bind(Uuid::now_v7())).await;
        }

        // Rows of every table that names others, and then the names of some that are not there.
        let domain = "from core_domain where name = 'default'";
        for insert in [
            format!("insert into core_vulnerabilityreport (pulp_id, pulp_created, vulns, content_id, pulp_domain_id) select $1, pulp_created, '[]', $1, pulp_id {domain}"),
            format!("insert into core_openpgppublickey (content_ptr_id, raw_data, fingerprint, created, _pulp_domain_id) select $1, '', '', pulp_created, pulp_id {domain}"),
            format!("insert into core_openpgppublicsubkey (content_ptr_id, raw_data, fingerprint, created, public_key_id, _pulp_domain_id) select $1, '', '', pulp_created, $1, pulp_id {domain}"),
            format!("insert into core_openpgpuserid (content_ptr_id, raw_data, user_id, public_key_id, _pulp_domain_id) select $1, '', '', $1, pulp_id {domain}"),
            format!("insert into core_openpgpuserattribute (content_ptr_id, raw_data, sha256, public_key_id, _pulp_domain_id) select $1, '', '', $1, pulp_id {domain}"),
            format!("insert into core_openpgpsignature (content_ptr_id, raw_data, sha256, signature_type, created, signed_content_id, _pulp_domain_id) select $1, '', '', 1, pulp_created, $1, pulp_id {domain}"),
            "insert into core_publishedartifact (pulp_id, pulp_created, relative_path, content_artifact_id, publication_id) select $1, pulp_created, 'x', $1, pulp_id from core_publication order by pulp_id limit 1".to_owned(),
            "insert into pulp_importedunit (task_id, upstream_id, content_id) select pulp_id, $1, $1 from core_task order by pulp_id limit 1".to_owned(),
            format!("insert into core_exporter (pulp_id, pulp_created, pulp_type, name, pulp_domain_id) select $1, pulp_created, 'x', 'x', pulp_id {domain}"),
            format!("insert into core_export (pulp_id, pulp_created, exporter_id, pulp_domain_id) select $1, pulp_created, $1, pulp_id {domain}"),
            "insert into pulp_exportedartifact (export_id, artifact_id) values ($1, $1)".to_owned(),
        ] {
            world.run(sql(insert).bind(new)).await;
        }
        let mut lost = Vec::new();
        for (table, key, column, _, _) in REFERENCES {
            let row: Uuid = world.one(&format!("select {key} from {table} order by {key} limit 1")).await;
            let none = Uuid::now_v7();
            world.run(sql(format!("update {table} set {column} = $1 where {key} = $2")).bind(none).bind(row)).await;
            lost.push(format!("its {column} is {none}"));
        }
        let now = world.checker().await.check().await;
        for name in lost {
            world.found(now.clone(), "a row names one that is not there", &name);
            world.known.clear();
        }
    }

    async fn damage_to_versions_and_tasks_is_found(world: World) {
        let mut world = world;
        let version = |number: i64| format!("select version.pulp_id from core_repositoryversion version join core_repository repository on repository.pulp_id = version.repository_id where repository.name = 'isos' and number = {number}");
        let (first, second): (Uuid, Uuid) = (world.one(&version(1)).await, world.one(&version(2)).await);
        let isos: Uuid = world.one("select pulp_id from core_repository where name = 'isos'").await;
        let lazy: Uuid = world.one("select pulp_id from core_repository where name = 'lazy'").await;
        let unit: Uuid = world.one("select content_id from core_repositorycontent where version_removed_id is null order by pulp_id limit 1").await;

        for code in ["A", "R", "P"] {
            let wrong = "update core_repositoryversioncontentdetails set count = count + 1 where repository_version_id = $1 and count_type = $2";
            world.damage("a version counts wrong", format!("{second} says {} of file.file ({code})", if code == "P" { 7 } else { 2 }), sql(wrong).bind(second).bind(code)).await;
            let none = "delete from core_repositoryversioncontentdetails where repository_version_id = $1 and count_type = $2";
            world.damage("a version counts wrong", format!("{second} says 0 of file.file ({code})"), sql(none).bind(second).bind(code)).await;
        }
        let stay = "insert into core_repositorycontent (pulp_id, pulp_created, content_id, repository_id, version_added_id, version_removed_id) select $1, pulp_created, pulp_id, $2, $3, $4 from core_content where pulp_id = $5";
        let stay = |key: Uuid, repository: Uuid, from: Uuid, to: Option<Uuid>| sql(stay).bind(key).bind(repository).bind(from).bind(to).bind(unit);
        let keys: Vec<Uuid> = (0..4).map(|_| Uuid::now_v7()).collect();
        world.damage("a unit is twice in a version", keys[0], stay(keys[0], isos, second, None)).await;
        world.run(sql("delete from core_repositorycontent where pulp_id = $1").bind(keys[0])).await;
        world.damage("a stay ends before it begins", keys[1], stay(keys[1], isos, second, Some(first))).await;
        world.damage("a stay is in the version of another repository", keys[2], stay(keys[2], lazy, first, None)).await;
        world.damage("the next version has a number that is taken", isos, sql("update core_repository set next_version = 2 where pulp_id = $1").bind(isos)).await;

        let draft = Uuid::now_v7();
        let insert = "insert into core_repositoryversion (pulp_id, pulp_created, repository_id, number, complete) select $1, version.pulp_created, version.repository_id, -1, false from core_repositoryversion version where version.pulp_id = $2";
        world.damage("a draft is older than a version", draft, sql(insert).bind(draft).bind(first)).await;
        world.known.retain(|finding| finding.rule != "a draft of a version was left");
        let now = world.checker().await.check().await;
        world.found(now, "a draft of a version was left", &draft.to_string());
        let publication: Uuid = world.one("select pulp_id from core_publication").await;
        world.damage("a publication is of a version that is none", publication, sql("update core_publication set repository_version_id = $1").bind(draft)).await;
        world.damage("a draft of a publication was left", publication, sql("update core_publication set complete = false")).await;
        world.known.retain(|finding| !finding.rule.starts_with("a distribution"));
        let now = world.checker().await.check().await;
        world.found(now, "a distribution serves a publication that is not complete", "core_distribution");
        world.damage("a repository has no version", lazy, sql("update core_repositoryversion set complete = false where repository_id = $1").bind(lazy)).await;
        let young = world.checker().await.forgive(Duration::from_secs(600)).check().await;
        assert!(!young.iter().any(|finding| finding.rule.ends_with("was left")), "{young:?}");

        let tasks: Vec<Uuid> = world.kit.pulp().db().column("select pulp_id from core_task order by sequence").await.unwrap();
        let held = "insert into core_taskreservation (task_sequence, resource, exclusive) select sequence, 'x', true from core_task where pulp_id = $1";
        world.damage("an ended task holds resources", tasks[0], sql(held).bind(tasks[0])).await;
        world.damage("an ended task has somebody who runs it", tasks[0], sql("update core_task set app_lock_id = pulp_id where pulp_id = $1").bind(tasks[0])).await;
        world.damage("an ended task has no end", tasks[0], sql("update core_task set finished_at = null where pulp_id = $1").bind(tasks[0])).await;
        world.damage("a task runs in a process that is gone", tasks[0], sql("update core_task set state = 'running' where pulp_id = $1").bind(tasks[0])).await;
        world.damage("a task is in no known state", tasks[0], sql("update core_task set state = 'odd' where pulp_id = $1").bind(tasks[0])).await;
        let report: Uuid = world.one("select report.pulp_id from core_progressreport report join core_task task on task.pulp_id = report.task_id where task.state = 'completed' limit 1").await;
        world.damage("an ended task goes on reporting", report, sql("update core_progressreport set state = 'running' where pulp_id = $1").bind(report)).await;
        // Behind the first, which has what it needs; then nobody has.
        let waits = sql("update core_task set state = 'waiting', unblocked_at = null where pulp_id = $1").bind(tasks[1]);
        world.run(waits).await;
        world.run(sql(held).bind(tasks[1])).await;
        let now = world.checker().await.check().await;
        assert!(!now.iter().any(|finding| finding.rule == "a task waits for nothing"), "{now:?}");
        world.damage("a task waits for nothing", tasks[1], sql("delete from core_taskreservation where task_sequence = (select sequence from core_task where pulp_id = $1)").bind(tasks[0])).await;

        if world.kit.database().engine() == Engine::Sqlite {
            use sqlx::{Connection as _, Executor as _};
            let mut raw = sqlx::SqliteConnection::connect(&world.kit.database().url()).await.unwrap();
            raw.execute("pragma foreign_keys = off; delete from core_remote where name = 'isos'").await.unwrap();
            let now = world.checker().await.check().await;
            world.found(now, "a foreign key leads nowhere", "core_repository");
            raw.execute("pragma writable_schema = on; update sqlite_schema set sql = replace(sql, 'description text,', 'description text not null,') where name = 'core_repository'; pragma schema_version = 9999").await.unwrap();
            let now = world.checker().await.check().await;
            world.found(now, "the database is damaged", "core_repository.description");
        }
    }
}
