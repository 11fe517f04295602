//! Kill after kill, and what must hold after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pulp_testkit::{Blob, Checker, Client, Fault, FileWorld, Process, Upstream};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;

use super::work::{Log, Places, Work, go_on};
use crate::world::{Server, artifacts, fetched, paths};

/// Small files that are new in each sync.
const FILES: usize = 24;

/// From this size on, what there is of a file is kept.
const WORTH: u64 = 4 << 20;

/// How long after a start tasks may seem to run.
const PATIENCE: Duration = Duration::from_secs(15);

/// As old as a file must be to be litter, whatever the protection time.
const OLD: Duration = Duration::from_secs(2 * 3_600);

pub struct Storm {
    server: Server,
    process: Option<Process>,
    upstream: Upstream,
    isos: FileWorld,
    rng: StdRng,
    seed: u64,
    /// The files of the upstream, with their digests.
    files: BTreeMap<String, (Blob, String)>,
    /// How long a sync and a clean-up take when nobody kills them.
    took: Duration,
    figures: Figures,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Figures {
    kills: usize,
    by_work: BTreeMap<String, usize>,
    /// Tasks that were failed because their process was gone, by their names.
    interrupted: BTreeMap<String, usize>,
    files_new: usize,
    files_kept: usize,
    /// Files that the upstream had sent to their end, and that no row names.
    files_again: usize,
    bytes_resumed: u64,
    litter: usize,
    drafts: usize,
    time: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills in {:.0} s, {:?}; tasks interrupted {:?}; of {} files that syncs had to fetch {} were stored before the kill and none of these \
             was fetched again, {} had come to their end and had no row yet, {} bytes of large ones were gone on with; litter {} files, drafts {}",
            self.kills,
            self.time.as_secs_f64(),
            self.by_work,
            self.interrupted,
            self.files_new,
            self.files_kept,
            self.files_again,
            self.bytes_resumed,
            self.litter,
            self.drafts
        )
    }
}

impl Figures {
    /// The kills came when something was under way.
    pub fn assert_worth(&self) {
        let interrupted: usize = self.interrupted.values().sum();
        assert!(interrupted * 3 > self.kills, "few tasks were interrupted: {self}");
        assert!(self.files_kept > 0 && self.files_kept < self.files_new, "no sync was killed midway: {self}");
    }
}

/// Says, when a test fails, how to do it again.
struct Blame(u64, usize, Vec<Work>);

impl Drop for Blame {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("PULP_TEST_SEED={} kill {} amid {:?}", self.0, self.1, self.2);
        }
    }
}

impl Storm {
    pub async fn begin(server: Server, seed: u64) -> Self {
        let server = Server(server.0.setting("access_log", false));
        let upstream = Upstream::start().await.manifest().fault("PULP_MANIFEST", Fault::SlowBytes(2_000_000));
        let process = server.start().await;
        let isos = process.client().file_repo("isos").with("retain_repo_versions", 2).remote(&upstream);
        let isos = isos.remote_with("download_concurrency", 4).distribute().await;
        let (rng, took) = (StdRng::seed_from_u64(seed), Duration::from_millis(400));
        Self { server, process: Some(process), upstream, isos, rng, seed, files: BTreeMap::new(), took, figures: Figures::default() }
    }

    /// Kills it so often; what came of it.
    pub async fn rage(mut self, kills: usize) -> Figures {
        let began = Instant::now();
        // What a sync is when nobody disturbs it.
        self.renew(0);
        let (first, client) = (Instant::now(), self.client());
        client.wait(client.post(&format!("{}sync/", self.isos.href()), json!({"mirror": true})).await).await;
        self.took = first.elapsed();
        let mut number = 0;
        while self.figures.kills < kills {
            number += 1;
            // Each alone, all together, some of them, and again.
            let works: Vec<Work> = match number % 7 {
                0 => Work::ALL.to_vec(),
                6 => {
                    let one = self.rng.random_range(0..Work::ALL.len());
                    let some = Work::ALL.into_iter().enumerate().filter(|(at, _)| *at == one || self.rng.random_bool(0.4));
                    some.map(|(_, work)| work).collect()
                }
                alone => vec![Work::ALL[alone - 1]],
            };
            let _blame = Blame(self.seed, number, works.clone());
            self.round(number, &works).await;
        }
        self.figures.time = began.elapsed();
        self.figures
    }

    fn client(&self) -> Client {
        self.process.as_ref().expect("a server").client()
    }

    fn places(&self) -> Places {
        Places { repository: self.isos.href() }
    }

    /// New files at the upstream; those before the last ones are gone there.
    fn renew(&mut self, number: usize) {
        let before = format!("{}/", number.saturating_sub(1));
        let gone: Vec<String> = self.files.keys().filter(|path| !path.starts_with(&before)).cloned().collect();
        for path in gone {
            self.files.remove(&path);
            self.upstream.remove(&path);
        }
        // Small ones, one that comes in several blocks, one whose beginning is worth keeping.
        let sizes = (0..FILES).map(|index| 500 + index as u64 * 1_000).chain([900_000, 6 << 20]);
        for (index, size) in sizes.enumerate() {
            let blob = Blob::seeded(self.rng.random(), size);
            let path = format!("{number}/{index}.iso");
            self.upstream.put(&path, blob.clone());
            let sha256 = blob.sha256();
            self.files.insert(path, (blob, sha256));
        }
        self.upstream.write_manifest();
    }

    async fn round(&mut self, number: usize, works: &[Work]) {
        let swept = works.contains(&Work::Cleanup);
        if works.contains(&Work::Sync) {
            self.renew(number);
        }
        if swept {
            self.orphans(number).await;
        }
        self.upstream.forget();
        let log = Arc::new(Log::default());
        let mut clients = JoinSet::new();
        for work in works {
            clients.spawn(go_on(*work, self.client(), self.places(), log.clone(), self.rng.random::<u64>() >> 20));
        }
        let longest = if works == [Work::Sync] { self.took.mul_f64(1.1) } else { self.took };
        tokio::time::sleep(longest.mul_f64(self.rng.random::<f64>())).await;
        self.kill(works).await;
        clients.abort_all();
        while let Some(ended) = clients.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        // Sometimes while it is about to recover.
        if self.rng.random_bool(0.2) {
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..300))).await;
            self.kill(works).await;
        }
        self.settled(&log).await;
        // What was left behind is allowed until the next clean-up; nothing else is wrong. A clean-up may have been killed when it had removed the rows of files, which are older
        // here than an hour, and not yet the files.
        let forgiven = if swept { OLD * 2 } else { Duration::from_secs(3_600) };
        Checker::of(&self.server).await.forgive(forgiven).assert().await;
        self.again(works, &log).await;
        self.tidy().await;
    }

    async fn kill(&mut self, works: &[Work]) {
        self.process.take().expect("a server").kill().await;
        self.figures.kills += 1;
        *self.figures.by_work.entry(format!("{works:?}")).or_default() += 1;
        self.process = Some(self.server.start().await);
    }

    /// Units and artifacts that belong to nothing.
    async fn orphans(&mut self, number: usize) {
        let client = self.client();
        for index in 0..12_u64 {
            let bytes = Blob::seeded(number as u64 * 100 + index, 3_000).to_bytes();
            let path = format!("orphans/{number}/{index}");
            if index % 3 == 0 {
                client.post_form("content/file/files/upload/", &[("relative_path", &path)], Some(&bytes)).await.with(201);
            } else {
                client.post_form("artifacts/", &[], Some(&bytes)).await.with(201);
            }
        }
    }

    /// Waits until every task has ended, and sees how.
    async fn settled(&mut self, log: &Log) {
        let (client, began) = (self.client(), Instant::now());
        loop {
            let open = client.list("tasks/?state__in=waiting,running,canceling&limit=1000").await;
            if open.is_empty() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "tasks that do not end: {open:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let promised = log.tasks.lock().unwrap().clone();
        for task in promised {
            let task = client.get(&task).await;
            if task["state"] == "failed" {
                assert_eq!(task["error"]["description"], "Worker has gone missing.", "{task:#}");
                *self.figures.interrupted.entry(task["name"].as_str().unwrap().rsplit('.').next().unwrap().to_owned()).or_default() += 1;
            } else {
                assert_eq!(task["state"], "completed", "{task:#}");
            }
        }
    }

    /// Does again what was under way.
    async fn again(&mut self, works: &[Work], log: &Log) {
        let client = self.client();
        if works.contains(&Work::Sync) {
            self.sync_again(&client).await;
        }
        if works.contains(&Work::Publish) {
            client.wait(client.post("publications/file/file/", json!({"repository": self.isos.href()})).await).await;
            let manifest = client.try_get(&self.isos.path("PULP_MANIFEST")).await;
            assert_eq!(manifest.status, 200);
            let latest = client.get(&self.isos.href()).await["latest_version_href"].as_str().unwrap().to_owned();
            assert_eq!(manifest.text().lines().count(), paths(&client, &latest).await.len());
        }
        let sent = log.sent.lock().unwrap().clone();
        for file in sent {
            file.mend(&client, works.contains(&Work::Cleanup)).await;
        }
        if works.contains(&Work::Cleanup) {
            client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
        }
    }

    async fn sync_again(&mut self, client: &Client) {
        let stored = artifacts(client).await;
        let whole: BTreeSet<String> = self.files.keys().cloned().collect();
        let missing: BTreeSet<String> =
            self.files.iter().filter(|(_, (_, sha256))| !stored.contains_key(sha256)).map(|(path, _)| path.clone()).collect();
        self.figures.files_new += FILES + 2;
        self.figures.files_kept += FILES + 2 - missing.len().min(FILES + 2);
        let done = |path: &&String| self.upstream.bytes_sent(path) >= self.files[*path].0.len();
        self.figures.files_again += missing.iter().filter(done).count();
        self.upstream.forget();
        client.wait(client.post(&format!("{}sync/", self.isos.href()), json!({"mirror": true})).await).await;
        let asked = fetched(&self.upstream);
        assert!(asked.is_subset(&missing), "what is stored is fetched again: {:?}", asked.difference(&missing));
        for path in missing.difference(&asked) {
            // A large one that had come to its end, and had no row yet: there was nothing left to ask for.
            assert!(self.files[path].0.len() >= WORTH, "{path} comes from nowhere");
        }
        for path in &missing {
            self.figures.bytes_resumed += self.files[path].0.len() - self.upstream.bytes_sent(path);
        }
        let latest = client.get(&self.isos.href()).await["latest_version_href"].as_str().unwrap().to_owned();
        assert_eq!(paths(client, &latest).await, whole);
    }

    /// After a clean-up nothing is left behind. Files are made old enough for it.
    async fn tidy(&mut self) {
        let client = self.client();
        let publications = client.list("publications/file/file/?ordering=-pulp_created&limit=1000").await;
        for publication in publications.iter().skip(1) {
            client.delete(publication["pulp_href"].as_str().unwrap()).await.ok();
        }
        let checker = Checker::of(&self.server).await;
        let rule = |what: &str, found: &[pulp_testkit::Finding]| found.iter().filter(|finding| finding.rule == what).count();
        let left = checker.check().await;
        self.figures.litter += rule("a file has no row", &left);
        self.figures.drafts += rule("a draft of a version was left", &left) + rule("a draft of a publication was left", &left);
        for file in self.server.kept() {
            let file = File::options().write(true).open(file).expect("a stored file");
            file.set_modified(SystemTime::now() - OLD).expect("the time of a file");
        }
        client.wait(client.post("orphans/cleanup/", json!({"orphan_protection_time": 0})).await).await;
        checker.assert().await;
    }
}
