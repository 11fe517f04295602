//! The scrub: what it has found, how far it has come, and having it begin now. Pulp has none.

use http::StatusCode;
use serde_json::json;

use super::tasks::dispatched;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::clock::to_wire;
use crate::db::{ExecutorExt, Sql};
use crate::model::{Lost, ScrubState};
use crate::plugin::Registry;
use crate::resource::{Field, Filter, FilterKind, Lookup, Resource, Target, action_body};
use crate::tasks::Scrub;

/// What the API document calls the answer of the status.
pub(crate) const STATUS: &str = "ScrubStatus";
/// And the body of a run.
pub(crate) const RUN: &str = "ScrubRun";

/// Findings are for administrators to read, and for nobody to change.
pub(super) fn register(registry: &mut Registry) {
    let word = |name| Filter::new(name, FilterKind::Text, &[Lookup::Exact, Lookup::In]);
    let mut findings = Resource::new("scrub", "core_scrubfinding", "ScrubFinding");
    findings.ordering = vec!["pulp_id", "pulp_created", "pulp_last_updated"];
    registry.resource(
        findings
            .help("A stored file that was not what it should be.")
            .field(Field::text("problem").read_only().help("What was wrong: missing, size, digest, unreadable."))
            .field(
                Field::text("state").read_only().help(
                    "lost; repaired: a source gave it again; restored: somebody brought it again; dropped: nothing needs it any more.",
                ),
            )
            .field(Field::href("artifact", Target::ARTIFACT).column("artifact_id").read_only().nullable().help("The artifact."))
            .field(Field::text("file").read_only().help("Where the file is to lie in the storage."))
            .field(Field::text("sha256").read_only().help("Its digest."))
            .field(Field::integer("size").read_only().help("Its size in bytes."))
            .field(Field::integer("found_size").nullable().read_only().help("The size of what lay there."))
            .field(Field::text("found_sha256").nullable().read_only().help("The digest of what lay there, if it could be read."))
            .field(Field::text("quarantined").nullable().read_only().help("Where in the storage the wrong file lies now."))
            .field(Field::time("ended_at").nullable().read_only().help("When the file was right again, or not needed any more."))
            .filters([word("problem"), word("state"), word("sha256"), Filter::time("pulp_created")]),
    );
    registry.component(
        STATUS,
        [
            Field::boolean("enabled").required().help("Whether it goes on by itself."),
            Field::integer("bytes_per_second").required().help("How much it may read by itself; 0: it does not."),
            Field::integer("interval_days").required().help("How often each file is looked at."),
            Field::boolean("under_way").required().help("Whether a pass has begun and not come to its end."),
            Field::time("started_at").nullable().required().help("When this pass, or the last one, began."),
            Field::time("finished_at").nullable().required().help("When a pass last came to its end."),
            Field::integer("files").required().help("How many files this pass, or the last one, has looked at."),
            Field::integer("bytes").required().help("Their bytes."),
            Field::integer("total_files").required().help("How many files it is to look at."),
            Field::integer("total_bytes").required().help("Their bytes."),
            Field::integer("lost").required().help("How many files are lost."),
        ],
    );
    registry.component(RUN, run_fields());
}

fn run_fields() -> [Field; 1] {
    [Field::integer("bytes_per_second")
        .nullable()
        .at_least(0)
        .at_most(u32::MAX)
        .help("How much it may read; 0 for as much as it can. As the settings say, if not given.")]
}

/// How far it has come.
pub(crate) async fn status(request: Request) -> Answer {
    let pulp = request.cx.pulp();
    let (settings, state) = (pulp.settings(), ScrubState::read(pulp.db()).await?);
    let total = Sql::new("select count(*), cast(coalesce(sum(size), 0) as bigint) from core_artifact where pulp_created <= $1");
    let (total_files, total_bytes): (i64, i64) = match state.covers {
        Some(covers) => pulp.db().one(total.bind(covers)).await?,
        None => (0, 0),
    };
    let body = json!({
        "enabled": settings.scrub_bytes_per_second > 0,
        "bytes_per_second": settings.scrub_bytes_per_second,
        "interval_days": settings.scrub_interval_days,
        "under_way": state.is_under_way(),
        "started_at": state.started_at.map(to_wire),
        "finished_at": state.finished_at.map(to_wire),
        "files": state.files,
        "bytes": state.bytes,
        "total_files": total_files,
        "total_bytes": total_bytes,
        "lost": Lost::count(pulp.db(), None).await?,
    });
    Ok(response::json(StatusCode::OK, &body))
}

/// Looks at all files now, by a task.
pub(crate) async fn run(mut request: Request) -> Answer {
    let body = request.payload().await?;
    let fields = run_fields();
    let input = action_body(&request.cx, &fields, &body.only(&fields)).await?;
    let bytes_per_second = input.integer("bytes_per_second").and_then(|rate| u64::try_from(rate).ok());
    dispatched(&request, Scrub { whole: true, bytes_per_second }).await
}
