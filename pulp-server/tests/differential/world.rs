//! A world that both servers have, object for object.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use pulp_testkit::{Answer, Client, Upstream};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value as Json, json};

use crate::ROUND;
use crate::catalogue::{Kind, kinds};
use crate::compare::{Difference, compare};
use crate::people::{self, Role};
use crate::request::Request;
use crate::side::{ADMIN, Outcome, Side};

/// The domain that is always there.
pub const DEFAULT_DOMAIN: &str = "<default-domain>";

/// Who is there for a round only.
pub const PEOPLE: [&str; 3] = ["role", "group", "user"];

pub struct World {
    /// The real Pulp, and ours.
    pub sides: [Side; 2],
    pub rng: StdRng,
    pub kinds: Vec<Kind>,
    pub domains: bool,
    pub locked: Vec<Role>,
    /// All roles that can be given in this round.
    pub roles: Vec<Role>,
    /// Who was given what in this round.
    pub assignments: Vec<String>,
    /// The kinds that somebody has a role for.
    pub concerned: BTreeSet<usize>,
    /// How all names begin.
    pub prefix: String,
    seed: u64,
    root: &'static str,
    upstream: Upstream,
    /// What is there, and what it refers to.
    objects: BTreeMap<String, String>,
    made: usize,
    found: Vec<Difference>,
}

impl World {
    pub async fn new(servers: [Client; 2], domains: bool, seed: u64) -> Self {
        let root = if domains { "/pulp/default/" } else { "/pulp/" };
        // The run's own, so that a used server has nothing of the name.
        let prefix = format!("differ-{:08x}", rand::random::<u32>());
        let of = |file: &str| format!("{prefix}-{file}");
        let upstream = Upstream::start().await.file(&of("one"), of("one").as_str()).file(&of("two"), of("two").as_str()).manifest();
        Self {
            sides: servers.map(|server| Side::new(server, root)),
            root,
            rng: StdRng::seed_from_u64(seed),
            kinds: kinds(),
            domains,
            locked: Vec::new(),
            roles: Vec::new(),
            assignments: Vec::new(),
            concerned: BTreeSet::new(),
            seed,
            upstream,
            prefix,
            objects: BTreeMap::new(),
            made: 0,
            found: Vec::new(),
        }
    }

    /// Tries so many triples; gives what differs.
    pub async fn run(mut self, triples: usize) -> Vec<Difference> {
        let [real, ours] = &mut self.sides;
        futures::join!(real.log_in(ADMIN, ""), ours.log_in(ADMIN, ""));
        self.locked = people::locked(&self.sides[0]).await;
        let mut tried = 0;
        while tried < triples {
            self.furnish().await;
            self.invite().await;
            for _ in 0..ROUND.min(triples - tried) {
                tried += 1;
                let request = Request::random(&mut self);
                if !self.attempt(&request).await {
                    self.leave().await;
                    break;
                }
            }
            self.tidy().await;
            eprintln!("seed {}: {tried} tried, {} differences", self.seed, self.found.len());
        }
        self.leave().await;
        self.found
    }

    /// Sends a request to both, and waits for what it starts. Whether the worlds are still the same.
    pub async fn attempt(&mut self, request: &Request) -> bool {
        let [real, ours] = &self.sides;
        let ask = |side| Side::ask(side, &request.user, request.method.clone(), &request.path, &request.body);
        let answers: [Answer; 2] = futures::join!(ask(real), ask(ours)).into();
        let outcomes: [Outcome; 2] = futures::join!(real.outcome(&answers[0]), ours.outcome(&answers[1])).into();
        if let Some(difference) = compare(self, request, &answers, &outcomes) {
            eprintln!("seed {}: {} | {request} | {difference}", self.seed, self.given_to(&request.user));
            let diverged = difference.diverged && !request.is_safe();
            self.found.push(difference);
            return !diverged;
        }
        if !request.is_safe() && answers[0].status.is_success() {
            self.learn(request, &outcomes);
            if request.method == Method::DELETE {
                self.look_again(&request.path).await;
            }
        }
        true
    }

    /// What a request made belongs to the world.
    fn learn(&mut self, request: &Request, outcomes: &[Outcome; 2]) {
        if let [Some(real), Some(ours)] = [&outcomes[0].task, &outcomes[1].task] {
            let symbol = self.next("task");
            self.know(&symbol, [real, ours], "");
        }
        let kind = request.makes.map(|at| (self.kinds[at].name, self.kinds[at].path));
        let Some((name, path)) = kind else { return };
        let href = |outcome: &Outcome| outcome.made.iter().find(|href| href.contains(path)).cloned();
        if let [Some(real), Some(ours)] = [href(&outcomes[0]), href(&outcomes[1])] {
            let symbol = self.next(name);
            self.know(&symbol, [&real, &ours], &request.body.to_string());
        }
    }

    /// Makes what is not there.
    async fn furnish(&mut self) {
        let missing: Vec<(&str, usize)> =
            self.kinds.iter().map(|kind| (kind.name, kind.count.saturating_sub(self.all(kind.name).len()))).collect();
        for (kind, count) in missing.into_iter().filter(|(kind, _)| !PEOPLE.contains(kind)) {
            for _ in 0..count {
                self.make(kind).await;
            }
        }
        if self.domains {
            for side in &mut self.sides {
                let found = side.get("domains/?name=default").await;
                side.know(DEFAULT_DOMAIN, found["results"][0]["pulp_href"].as_str().expect("the default domain"));
            }
        }
    }

    /// Makes an object of a kind, as the administrator.
    pub async fn make(&mut self, name: &str) {
        let symbol = self.next(name);
        let (path, body) = (self.kind(name).path, self.kind(name).body.clone());
        let own = self.name_of(&symbol);
        let body = self.filled(&body, &own);
        let hrefs = self.command(Method::POST, &format!("{path}/"), body.clone()).await.map(|outcome| {
            outcome.made.into_iter().find(|href| href.contains(path)).unwrap_or_else(|| panic!("{symbol} was not made: {body}"))
        });
        self.know(&symbol, [&hrefs[0], &hrefs[1]], &body.to_string());
    }

    /// Asks both as the administrator; they must agree.
    async fn command(&self, method: Method, path: &str, body: Json) -> [Outcome; 2] {
        let [real, ours] = &self.sides;
        let ask = |side| Side::ask(side, ADMIN, method.clone(), path, &body);
        let answers = futures::join!(ask(real), ask(ours));
        for answer in [&answers.0, &answers.1] {
            assert!(answer.status.is_success(), "{method} {path} {body}: {} {}", answer.status, answer.text());
        }
        futures::join!(real.outcome(&answers.0), ours.outcome(&answers.1)).into()
    }

    /// Forgets what went with an object.
    async fn look_again(&mut self, path: &str) {
        let deleted = path.split_inclusive('>').next().unwrap_or(path);
        let touched = |(symbol, refers): (&String, &String)| (symbol == deleted || refers.contains(deleted)).then(|| symbol.clone());
        for symbol in self.objects.iter().filter_map(touched).collect::<Vec<_>>() {
            let [real, ours] = &self.sides;
            let look = |side| Side::ask(side, ADMIN, Method::GET, &symbol, &Json::Null);
            let answers = futures::join!(look(real), look(ours));
            let gone = [answers.0, answers.1].map(|answer| answer.status == StatusCode::NOT_FOUND);
            assert_eq!(gone[0], gone[1], "{symbol} is gone on one side, with {path}");
            if gone[0] {
                self.forget(&symbol);
            }
        }
    }

    /// Removes the people of the round, and what is more than there was.
    async fn tidy(&mut self) {
        self.concerned.clear();
        for at in (0..self.kinds.len()).rev() {
            let (name, count) = (self.kinds[at].name, self.kinds[at].count);
            let kept = if PEOPLE.contains(&name) { 0 } else { count };
            for symbol in self.all(name).split_off(kept.min(self.all(name).len())) {
                self.remove(&symbol).await;
            }
        }
    }

    /// Removes all.
    async fn leave(&mut self) {
        for at in (0..self.kinds.len()).rev() {
            for symbol in self.all(self.kinds[at].name) {
                self.remove(&symbol).await;
            }
        }
    }

    /// Removes an object where it still is. Units and tasks stay: they are in nobody's way.
    async fn remove(&mut self, symbol: &str) {
        if !symbol.starts_with("<file-") && !symbol.starts_with("<task-") {
            let [real, ours] = &self.sides;
            let delete = |side| async move {
                let answer = Side::ask(side, ADMIN, Method::DELETE, symbol, &Json::Null).await;
                side.outcome(&answer).await
            };
            futures::join!(delete(real), delete(ours));
        }
        self.forget(symbol);
    }

    fn know(&mut self, symbol: &str, hrefs: [&str; 2], refers: &str) {
        for (side, href) in self.sides.iter_mut().zip(hrefs) {
            side.know(symbol, href);
        }
        self.objects.insert(symbol.to_owned(), refers.to_owned());
    }

    fn forget(&mut self, symbol: &str) {
        for side in &mut self.sides {
            side.forget(symbol);
        }
        self.objects.remove(symbol);
    }

    fn next(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("<{kind}-{:04}>", self.made)
    }

    /// The objects of a kind, the oldest first.
    pub fn all(&self, kind: &str) -> Vec<String> {
        let start = format!("<{kind}-");
        let numbered =
            |symbol: &&String| symbol.strip_prefix(&start).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        self.objects.keys().filter(numbered).cloned().collect()
    }

    pub fn kind(&self, name: &str) -> &Kind {
        self.kinds.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no kind {name}"))
    }

    /// The name of an object, on both sides.
    pub fn name_of(&self, symbol: &str) -> String {
        format!("{}-{}", self.prefix, symbol.trim_matches(['<', '>']))
    }

    /// What somebody was given, and the groups were.
    fn given_to(&self, user: &str) -> String {
        let theirs = |given: &&String| given.starts_with(user) || given.starts_with("<group");
        self.assignments.iter().filter(theirs).cloned().collect::<Vec<_>>().join("; ")
    }

    /// A body with everything chosen that it leaves open.
    pub fn filled(&mut self, body: &Json, own: &str) -> Json {
        match body {
            Json::Object(fields) => Json::Object(fields.iter().map(|(name, value)| (name.clone(), self.filled(value, own))).collect()),
            Json::Array(values) => Json::Array(values.iter().map(|value| self.filled(value, own)).collect()),
            Json::String(text) => json!(self.chosen(text, own)),
            other => other.clone(),
        }
    }

    fn chosen(&mut self, text: &str, own: &str) -> String {
        let Some((kind, rest)) = text.strip_prefix('<').and_then(|text| text.split_once('>')) else {
            return text.replace('@', own);
        };
        match kind {
            "manifest" => self.upstream.url("PULP_MANIFEST"),
            "nowhere" => self.upstream.url("nowhere/"),
            "url" => self.upstream.url(&format!("{}-one", self.prefix)),
            "directory" => std::env::temp_dir().join(&self.prefix).display().to_string(),
            "permission" => self.some_permission(),
            "role" => self.roles.choose(&mut self.rng).map(|role| role.name.clone()).unwrap_or_default(),
            "username" | "groupname" => {
                let one = self.some(kind.trim_end_matches("name"));
                self.name_of(&one)
            }
            _ => format!("{}{rest}", self.some(kind)),
        }
    }

    /// An object of a kind; where there is none, one that is not there.
    pub fn some(&mut self, kind: &str) -> String {
        let all = self.all(kind);
        all.choose(&mut self.rng).cloned().unwrap_or_else(|| self.nowhere(kind))
    }

    /// An object that is not there.
    pub fn nowhere(&self, kind: &str) -> String {
        format!("{}api/v3/{}/01900000-0000-7000-8000-000000000000/", self.root, self.kind(kind).path)
    }
}
