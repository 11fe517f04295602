//! The task that reads stored files again, slowly, to find those that are no longer what they were.

mod budget;
mod look;
mod turn;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{LogLevel, ProgressReport, Resources, Task, TaskContext, TaskOutput};
use crate::clock::Timestamp;
use crate::model::{Artifact, FindingEnd, Lost, Problem, ScrubState};
use crate::settings::Settings;
use crate::{Error, Result};

use budget::Budget;
use look::{Outcome, look};

/// Artifacts that are read from the database at a time.
const BATCH: i64 = 100;

/// After so long a task ends, and the next one goes on: no slot is held for ever. A file that is being read is read to its end.
const SLICE: Duration = Duration::from_secs(60);

/// How often it is written how far it has come.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// So many files in a row that are not there, or cannot be read for another reason than their own, are no damage to files: the storage itself is away.
const IN_A_ROW: usize = 50;

/// Findings that are kept in mind, so that the one of a file that is there again is ended.
const REMEMBERED: i64 = 100_000;

/// Reads stored files of all domains and compares them with their digests. What is wrong is set aside, and fetched again from a source that has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrub {
    /// Whether it begins anew, and looks at all files there are; else it goes on where the last one has stopped, for a minute.
    #[serde(default)]
    pub whole: bool,
    /// Bytes that it may read in a second, 0 for no bound; as the settings say if unset.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
}

#[async_trait]
impl Task for Scrub {
    const NAME: &'static str = "pulpcore.app.tasks.scrub.scrub";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(Self::RESOURCE)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let rate = self.bytes_per_second.unwrap_or(cx.pulp().settings().scrub_bytes_per_second);
        if !self.whole && rate == 0 {
            // It was switched off after this was dispatched.
            return Ok(().into());
        }
        let mut state = ScrubState::read(cx.pulp().db()).await?;
        let now = cx.pulp().now();
        if self.whole {
            state.begin(now, now);
        } else if !state.is_under_way() {
            if !is_due(&state, cx.pulp().settings(), now) {
                return Ok(().into());
            }
            // What came lately was verified when it came.
            state.begin(now - interval(cx.pulp().settings()), now);
        }
        let until = (!self.whole).then(|| Instant::now() + SLICE);
        Pass::new(&cx, state, Budget::new(rate), until).await?.run().await
    }
}

impl Scrub {
    /// What it reserves: there is one at a time, over all processes and domains.
    pub(crate) const RESOURCE: &str = "pdrn:scrub";
}

/// How often each file is looked at.
fn interval(settings: &Settings) -> TimeDelta {
    TimeDelta::try_days(settings.scrub_interval_days.max(0)).unwrap_or(TimeDelta::MAX)
}

/// Whether it is time for another pass.
fn is_due(state: &ScrubState, settings: &Settings, now: Timestamp) -> bool {
    state.started_at.and_then(|started| started.checked_add_signed(interval(settings))).is_none_or(|next| next <= now)
}

struct Pass<'a> {
    cx: &'a TaskContext,
    state: ScrubState,
    budget: Budget,
    /// When this task has done enough.
    until: Option<Instant>,
    /// Findings whose file was lost when the task began, by artifact.
    lost: HashMap<Uuid, Uuid>,
    saved: Instant,
    in_a_row: usize,
    files: ProgressReport,
    bytes: ProgressReport,
    findings: ProgressReport,
    repaired: ProgressReport,
}

impl<'a> Pass<'a> {
    async fn new(cx: &'a TaskContext, state: ScrubState, budget: Budget, until: Option<Instant>) -> Result<Self> {
        let db = cx.pulp().db();
        Lost::drop_unneeded(db, cx.pulp().now()).await?;
        let lost = Lost::all(db, REMEMBERED).await?.into_iter().map(|lost| (lost.artifact_id, lost.pulp_id)).collect();
        Ok(Self {
            cx,
            state,
            budget,
            until,
            lost,
            saved: Instant::now(),
            in_a_row: 0,
            files: cx.progress("Look at stored files", "scrub.files"),
            bytes: cx.progress("Read stored files", "scrub.bytes").suffix("bytes"),
            findings: cx.progress("Find lost and damaged files", "scrub.findings"),
            repaired: cx.progress("Fetch files again", "scrub.repaired"),
        })
    }

    async fn run(mut self) -> Result<TaskOutput> {
        self.save().await?;
        let mut ended = false;
        while !ended {
            let page = self.state.page(self.cx.pulp().db(), BATCH).await?;
            if page.is_empty() {
                self.state.finished_at = Some(self.cx.pulp().now());
                break;
            }
            for artifact in page {
                let looked = look(self.cx.pulp(), &artifact, &mut self.budget).await;
                self.note(&artifact, looked).await?;
                ended = self.until.is_some_and(|until| Instant::now() >= until);
                if ended {
                    break;
                }
            }
        }
        self.save().await?;
        for report in [&self.files, &self.bytes, &self.findings, &self.repaired] {
            report.finish();
        }
        Ok(().into())
    }

    /// Notes what has become of a file.
    async fn note(&mut self, artifact: &Artifact, looked: Result<Outcome>) -> Result<()> {
        let pulp = self.cx.pulp().clone();
        let known = self.lost.get(&artifact.pulp_id).copied();
        let away = match looked {
            Ok(Outcome::Sound) => {
                if let Some(finding) = known {
                    Lost::end(pulp.db(), finding, FindingEnd::Restored, pulp.now()).await?;
                }
                false
            }
            Ok(Outcome::Unneeded) => false,
            Ok(Outcome::Wrong { problem, repaired }) => {
                self.found(artifact, problem, repaired, known.is_some());
                problem == Problem::Missing && !repaired && known.is_none()
            }
            Err(error) => {
                tracing::warn!(file = artifact.file, error = &error as &dyn std::error::Error, "a stored file could not be looked at");
                self.cx.log(LogLevel::Warning, format!("{} could not be looked at: {error}", artifact.file));
                true
            }
        };
        self.in_a_row = if away { self.in_a_row + 1 } else { 0 };
        let size = u64::try_from(artifact.size).unwrap_or(0);
        self.state.reached = Some(artifact.pulp_id);
        self.state.files = self.state.files.saturating_add(1);
        self.state.bytes = self.state.bytes.saturating_add(artifact.size);
        self.files.increment();
        self.bytes.increase(artifact.size);
        pulp.metrics().scrub.looked_at(size);
        if self.in_a_row >= IN_A_ROW {
            self.save().await?;
            return Err(Error::Conflict(format!(
                "{IN_A_ROW} stored files in a row are not there or cannot be read: is the storage the right one, and mounted? The scrub goes on later"
            )));
        }
        if self.saved.elapsed() >= SAVE_EVERY {
            self.save().await?;
        }
        Ok(())
    }

    /// Tells of a wrong file. Of one that was known to be lost nothing is told again.
    fn found(&self, artifact: &Artifact, problem: Problem, repaired: bool, known: bool) {
        let metrics = &self.cx.pulp().metrics().scrub;
        if !known {
            self.findings.increment();
            metrics.found(problem);
        }
        if repaired {
            self.repaired.increment();
            metrics.repaired();
            tracing::warn!(file = artifact.file, problem = problem.as_str(), "a stored file was wrong, and was fetched again");
            self.cx.log(LogLevel::Warning, format!("{} was wrong ({}), and was fetched again", artifact.file, problem.as_str()));
        } else if !known {
            tracing::error!(
                file = artifact.file,
                problem = problem.as_str(),
                "a stored file is lost, and no source gives it; upload it again"
            );
            let told = format!("{} is lost ({}), and no source gives it: upload it again", artifact.file, problem.as_str());
            self.cx.log(LogLevel::Warning, told);
        }
    }

    /// Writes how far it has come, if this task is still the one to do so.
    async fn save(&mut self) -> Result<()> {
        let tx = self.cx.pulp().db().begin().await?;
        self.cx.hold(&tx).await?;
        self.state.write(&tx).await?;
        tx.commit().await?;
        self.saved = Instant::now();
        Ok(())
    }
}
