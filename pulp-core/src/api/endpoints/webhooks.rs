//! Webhooks: who is told of what happens. Pulp has none.

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value as Json, json};
use url::Url;
use uuid::Uuid;

use crate::db::Executor;
use crate::ids::Prn;
use crate::model::{Model, Repository};
use crate::plugin::Registry;
use crate::resource::{
    AccessPolicy, Action, ActionHandler, Change, Context, Create, Field, Filter, FilterKind, Hooks, Input, Kind, Lookup, Parent, Record,
    Reply, Resource, Returns, Target, bases, select_labels,
};
use crate::tasks::Reconciler;
use crate::webhooks::{self, EVENTS};
use crate::{Error, Result};

const PATH: &str = "webhooks";
const DELIVERIES: &str = "deliveries";

/// The encrypted columns, in the order in which `hidden_fields` shows them.
const SECRETS: &[&str] = &["secret", "client_key", "proxy_username", "proxy_password"];

/// What of a remote says how a receiver is reached.
const NETWORK: [&str; 7] = ["ca_cert", "client_cert", "client_key", "tls_validation", "proxy_url", "proxy_username", "proxy_password"];

pub(super) fn register(registry: &mut Registry) {
    let every = std::time::Duration::from_secs;
    registry.reconciler(Reconciler::new("webhooks", every(1), webhooks::deliver_due));
    registry.reconciler(Reconciler::new("webhook deliveries", every(3_600), webhooks::expire));
    registry.resource(webhook());
    registry.resource(delivery());
    // As far as a webhook can be seen, so can what it was told.
    registry.policy("webhooks/deliveries", AccessPolicy::explicit().rule(&["list", "retrieve"], &[]));
}

fn webhook() -> Resource {
    let mut network = bases::network_fields();
    network.retain(|field| NETWORK.contains(&field.name));
    let mut webhook = Resource::new(PATH, "core_webhook", "Webhook");
    webhook.roles = true;
    webhook
        .help("An address to which signed messages are sent about what happens in the domain.")
        .field(Field::text("name").required().unique().max_length(150).help("A unique name."))
        .field(
            Field::text("url").required().max_length(2_000).check(address).help("Where messages go: http or https, without credentials."),
        )
        .field(Field::secret("secret").required().keep_space().help("What messages are signed with."))
        .field(Field::list("events", Kind::Choice("WebhookEventEnum", EVENTS)).required().check(some).help("Of what it is told."))
        .field(Field::href("repository", Target::REPOSITORY).nullable().help("Only what concerns this repository."))
        .field(
            Field::text("label_select")
                .nullable()
                .max_length(1_000)
                .help("Only what concerns repositories with such labels, as `pulp_label_select` of a list takes them."),
        )
        .field(Field::boolean("enabled").default(true).help("Whether it is told anything."))
        .fields(network)
        .field(bases::hidden_fields(SECRETS))
        .filters([Filter::name("name"), Filter::new("enabled", FilterKind::Boolean, Lookup::EXACT)])
        .ordered_by(["name", "url", "enabled"])
        .create(Create::Now)
        .update(Change::Now)
        .delete(Change::Now)
        .hooks(Rules)
        .policy(policy())
        .action(Action::post("ping", Ping).returns(Returns::Component(202, "WebhookSent")).help("Sends a message that tries it."))
        .action(
            Action::post("redeliver", Redeliver)
                .body("WebhookRedeliver", [Field::new("delivery", Kind::Uuid).required().help("The key of what is to be sent again.")])
                .returns(Returns::Component(202, "WebhookSent"))
                .help("Sends a message again."),
        )
}

/// Of what somebody may be told is looked at beside this: see [`Rules`].
fn policy() -> AccessPolicy {
    let may = |verb: &str| format!("has_model_or_domain_or_obj_perms:core.{verb}_webhook");
    let owner = ["core.change_webhook", "core.delete_webhook", "core.manage_roles_webhook", "core.view_webhook"];
    AccessPolicy::explicit()
        .rule(&["list", "retrieve", "my_permissions"], &[])
        .rule(&["create"], &["has_model_or_domain_perms:core.add_webhook"])
        .rule(&["update", "partial_update", "ping", "redeliver"], &[&may("change")])
        .rule(&["destroy"], &[&may("delete")])
        .rule(&["list_roles", "add_role", "remove_role"], &[&may("manage_roles")])
        .role("core.webhook_creator", None, &["core.add_webhook"])
        .role("core.webhook_owner", None, &owner)
        .role("core.webhook_viewer", None, &["core.view_webhook"])
}

fn delivery() -> Resource {
    let mut delivery = Resource::new("webhooks/deliveries", "core_webhookdelivery", "WebhookDelivery");
    delivery.in_domain = false;
    delivery.nested = true;
    delivery.ordering = vec!["pulp_id", "pulp_created", "next_attempt"];
    let text = |name| Filter::new(name, FilterKind::Text, &[Lookup::Exact, Lookup::In]);
    delivery
        .help("A message to a webhook: what was sent, and what became of it.")
        .below(Parent { path: PATH, segment: DELIVERIES, column: "webhook_id", key: "webhook_pk" })
        .field(Field::text("event").read_only().help("What it tells of."))
        .field(Field::text("body").read_only().help("What is sent, byte for byte."))
        .field(Field::text("state").read_only().help("waiting, delivered or failed."))
        .field(Field::integer("attempts").read_only().help("How often it was sent, or tried to be."))
        .field(Field::time("last_attempt").nullable().read_only().help("When that was last."))
        .field(Field::time("next_attempt").nullable().read_only().help("When it is sent next."))
        .field(Field::time("finished_at").nullable().read_only().help("When it was delivered, or given up."))
        .field(Field::integer("status").nullable().read_only().help("The status of the last answer."))
        .field(Field::text("response").nullable().read_only().help("How the last answer began."))
        .field(Field::text("error").nullable().read_only().help("Why the last attempt was no success."))
        .filters([text("event"), text("state"), Filter::time("pulp_created")])
}

fn address(value: &Json) -> std::result::Result<(), String> {
    match value.as_str().map(Url::parse) {
        Some(Ok(url)) if !url.username().is_empty() || url.password().is_some() => {
            Err("The address must not contain credentials: messages are signed.".to_owned())
        }
        Some(Ok(url)) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => Err("Enter a valid URL: it must begin with http:// or https://.".to_owned()),
    }
}

fn some(value: &Json) -> std::result::Result<(), String> {
    if value.as_array().is_some_and(Vec::is_empty) { Err("This list may not be empty.".to_owned()) } else { Ok(()) }
}

/// What concerns several fields, and who may be told of what.
struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        bases::check_proxy(input, current)?;
        if let Some(text) = input.text("label_select").filter(|text| !text.is_empty()) {
            match select_labels(cx.pulp().db().dialect(), text) {
                Ok(_) => {}
                Err(Error::Refused(messages)) => return Err(Error::Refused(json!({"label_select": messages}))),
                Err(other) => return Err(other),
            }
        }
        let repository = match input.get("repository") {
            Some(_) => input.id("repository"),
            None => current.and_then(|row| row.uuid("repository_id")),
        };
        may_be_told(cx, repository, input.reference("repository")).await
    }

    async fn committed(&self, cx: &Context, _: Uuid) {
        cx.pulp().announce_webhooks().await;
    }
}

/// A webhook tells what happens in the domain: of a repository to whoever may view that, of all to whoever may view all tasks.
async fn may_be_told(cx: &Context, repository: Option<Uuid>, named: Option<Prn>) -> Result<()> {
    let Some(user) = cx.user() else { return Ok(()) };
    if user.is_superuser {
        return Ok(());
    }
    let Some(grants) = cx.grants() else { return Err(Error::Forbidden) };
    let (pulp, access) = (cx.pulp(), cx.pulp().access());
    let everything = |permission: &str| grants.everywhere(access, permission) || grants.in_domain(access, permission);
    if everything("core.view_task") {
        return Ok(());
    }
    let refused = || Error::Denied("A webhook of all repositories is for those who may view all tasks: name a repository.".to_owned());
    let repository = repository.ok_or_else(refused)?;
    let model = match named {
        Some(prn) => prn.model,
        None => {
            let row = Repository::find(pulp.db(), repository).await?;
            let resource = pulp.registry().resource_of_type(Target::REPOSITORY.table, &row.pulp_type);
            resource.map(|resource| resource.model.clone()).ok_or_else(refused)?
        }
    };
    let view = crate::resource::access::permission(&model, "view");
    if everything(&view) || grants.on_object(pulp.db(), access, (&model, repository), &view).await? {
        return Ok(());
    }
    Err(Error::field("repository", "Invalid hyperlink - Object does not exist."))
}

/// `POST …/ping/`.
struct Ping;

#[async_trait]
impl ActionHandler for Ping {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, _: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::Internal("a webhook is tried".to_owned()))?;
        let delivery = webhooks::ping(cx.pulp(), id, cx.domain()).await?;
        Ok(sent(cx, id, delivery))
    }
}

/// `POST …/redeliver/`.
struct Redeliver;

#[async_trait]
impl ActionHandler for Redeliver {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, input: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::Internal("a message of a webhook is sent".to_owned()))?;
        let delivery = input.text("delivery").and_then(|text| text.parse().ok());
        let gone = || Error::field("delivery", "There is no such delivery of this webhook.");
        let delivery: Uuid = delivery.ok_or_else(gone)?;
        if !webhooks::again(cx.pulp(), id, delivery).await? {
            return Err(gone());
        }
        Ok(sent(cx, id, delivery))
    }
}

fn sent(cx: &Context, webhook: Uuid, delivery: Uuid) -> Reply {
    let of = cx.pulp().hrefs().object(&cx.domain().name, PATH, webhook);
    Reply::Json(StatusCode::ACCEPTED, json!({"delivery": format!("{of}{DELIVERIES}/{delivery}/")}))
}
