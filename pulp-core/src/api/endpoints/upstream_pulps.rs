//! Pulps that are replicated from: `upstream-pulps/`.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::ids::Prn;
use crate::model::Model;
use crate::plugin::Registry;
use crate::replicate::{self, ReplicateDistributions, UpstreamPulp};
use crate::resource::{
    AccessPolicy, Action, ActionHandler, Change, Context, Create, Field, Filter, Hooks, Input, Record, Reply, Resource, Returns, bases,
};
use crate::tasks::DispatchOptions;
use crate::{Error, Result};

/// The encrypted columns, in the order in which `hidden_fields` shows them.
const SECRETS: &[&str] = &["client_key", "username", "password"];

/// What a remote has that an upstream has not.
const NOT_HERE: [&str; 5] = ["proxy_url", "proxy_username", "proxy_password", "headers", "rate_limit"];

pub(super) fn register(registry: &mut Registry) {
    replicate::register(registry);
    let mut network = bases::network_fields();
    network.retain(|field| !NOT_HERE.contains(&field.name));
    let q_select = || Field::text("q_select").nullable().blank().help("Filters, as `q` of a list takes them: which distributions.");
    let mut upstreams = Resource::new("upstream-pulps", "core_upstreampulp", "UpstreamPulp")
        .field(Field::text("name").required().unique().help("A unique name."))
        .field(Field::text("base_url").required().help("Scheme, host and port."))
        .field(Field::text("api_root").required().help("The path under which the API lies: `/pulp/`."))
        .field(Field::text("domain").nullable().help("The domain there, where it has domains."))
        .fields(network)
        .field(
            Field::choice("remote_policy", "RemotePolicyEnum", &["immediate", "on_demand", "streamed"])
                .nullable()
                .help("When files are fetched."),
        )
        .field(bases::hidden_fields(SECRETS))
        .field(q_select())
        .field(Field::time("last_replication").read_only().help("When the last replication that succeeded began."))
        .field(
            Field::choice("policy", "Policy357Enum", &["all", "labeled", "nodelete"])
                .quiet_default("all")
                .help("What is removed here: all that the upstream has not, what it has made, or nothing."),
        )
        .filters([Filter::name("name"), Filter::name("base_url"), Filter::time("last_replication")])
        .ordered_by([
            "api_root",
            "base_url",
            "ca_cert",
            "client_cert",
            "client_key",
            "connect_timeout",
            "domain",
            "download_concurrency",
            "last_replication",
            "max_retries",
            "name",
            "password",
            "policy",
            "q_select",
            "remote_policy",
            "sock_connect_timeout",
            "sock_read_timeout",
            "tls_validation",
            "total_timeout",
            "username",
        ])
        .create(Create::Now)
        .update(Change::Now)
        .delete(Change::Now)
        .hooks(Selection)
        .policy(AccessPolicy::usual().role("core.upstreampulp_user", None, &["core.view_upstreampulp", "core.replicate_upstreampulp"]))
        .action(
            Action::post("replicate", Replicate)
                .body("UpstreamPulpReplicate", [q_select()])
                .returns(Returns::TaskGroup)
                .help("Distributes here what the other Pulp distributes."),
        );
    upstreams.roles = true;
    registry.resource(upstreams);
}

/// The filters must be those of distributions.
struct Selection;

async fn check(cx: &Context, input: &Input) -> Result<()> {
    let Some(text) = input.text("q_select").filter(|text| !text.trim().is_empty()) else { return Ok(()) };
    let distributions = cx.pulp().registry().resource_at("distributions").cloned();
    let distributions: Arc<Resource> = distributions.ok_or_else(|| Error::Internal("there is no resource of distributions".to_owned()))?;
    match distributions.complex(cx, text).await {
        Ok(_) => Ok(()),
        Err(Error::Validation(mut fields)) => {
            let messages: Vec<Json> = fields.remove("q").into_iter().flatten().map(Json::from).collect();
            Err(Error::Refused(json!({"q_select": messages})))
        }
        Err(other) => Err(other),
    }
}

#[async_trait]
impl Hooks for Selection {
    async fn validate(&self, cx: &Context, input: &mut Input, _: Option<&Record>) -> Result<()> {
        check(cx, input).await
    }
}

/// `POST …/replicate/`.
struct Replicate;

#[async_trait]
impl ActionHandler for Replicate {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, input: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::Internal("an upstream is replicated".to_owned()))?;
        check(cx, &input).await?;
        let row = UpstreamPulp::find(cx.pulp().db(), id).await?;
        let tasks = cx.pulp().tasks();
        let group = tasks.create_group(cx.domain(), &format!("Replication of {}", row.name), &[]).await?;
        let q_select = input.text("q_select").filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let task = ReplicateDistributions { upstream: Prn::new("core.upstreampulp", id), q_select };
        let options = DispatchOptions { group: Some(group.pulp_id), ..cx.dispatch_options() };
        let options = options.exclusive(format!("pdrn:{}:servers", cx.domain().pulp_id));
        tasks.dispatch(task, options).await?;
        Ok(Reply::TaskGroup(group.pulp_id))
    }
}
