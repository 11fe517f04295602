//! `pulp webhook`

use clap::{Args, Subcommand, ValueEnum};

use super::object_role::ObjectRoleCommand;
use crate::args::{OrNull, name, switch, text_or_file, text_or_file_or_null};
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::{NamedList, Page};
use crate::lookup::{Lookup as _, named_lookup, uuid};
use crate::reference::{Category, TypedReference};
use crate::resource::{Body, Kind};

/// Webhooks are told of what happens.
const WEBHOOK: Kind = Kind::known("webhook", "webhooks/");

named_lookup!(
    /// Names a webhook.
    WebhookLookup, "webhook", "webhook-href"
);
switch!(
    /// Whether it is told anything.
    Enabled, "enabled", "disabled", "Whether it is told anything"
);
switch!(
    /// Whether the certificate of the receiver is checked.
    TlsValidation, "tls-validation", "no-tls-validation", "Check the certificate of the receiver"
);

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Have somebody told of what happens
    Create(Box<Create>),
    /// List webhooks
    List(NamedList),
    /// Show a webhook
    Show(WebhookLookup),
    /// Change a webhook
    Update(Box<Update>),
    /// Delete a webhook, and what is known of its messages
    Destroy(WebhookLookup),
    /// Send a message that tries a webhook
    Ping(WebhookLookup),
    /// Send a message again
    Redeliver(Redeliver),
    /// Messages of a webhook
    #[command(subcommand)]
    Delivery(DeliveryCommand),
    /// Roles on a webhook
    #[command(subcommand)]
    Role(ObjectRoleCommand<WebhookLookup>),
}

/// What a webhook can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Event {
    /// A task has ended, well or not
    #[value(name = "task.finished")]
    TaskFinished,
    /// A task has failed
    #[value(name = "task.failed")]
    TaskFailed,
    /// A repository has a new version
    #[value(name = "repository_version.created")]
    VersionCreated,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the webhook
    #[arg(long)]
    name: String,
    /// Where messages go
    #[arg(long)]
    url: String,
    /// What messages are signed with, or @FILE with it
    #[arg(long, value_parser = text_or_file)]
    secret: String,
    /// What it is told of; may be repeated
    #[arg(long = "event", value_enum, required = true)]
    events: Vec<Event>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    lookup: WebhookLookup,
    /// Where messages go
    #[arg(long)]
    url: Option<String>,
    /// What messages are signed with, or @FILE with it
    #[arg(long, value_parser = text_or_file)]
    secret: Option<String>,
    /// What it is told of, in place of what it was; may be repeated
    #[arg(long = "event", value_enum)]
    events: Vec<Event>,
    #[command(flatten)]
    options: Options,
}

/// What else can be said of a webhook; the empty text takes a value away again.
#[derive(Debug, Args)]
struct Options {
    /// Only what concerns this repository: PLUGIN:TYPE:NAME, href or PRN
    #[arg(long)]
    repository: Option<TypedReference>,
    /// Only what concerns repositories with such labels, like env=prod,!old
    #[arg(long, value_name = "TERMS")]
    label_select: Option<OrNull<String>>,
    #[command(flatten)]
    enabled: Enabled,
    /// Certificates of authorities to trust, PEM, or @FILE with them
    #[arg(long, value_name = "PEM", value_parser = text_or_file_or_null)]
    ca_cert: Option<OrNull<String>>,
    #[command(flatten)]
    tls_validation: TlsValidation,
    /// Address of a proxy
    #[arg(long, value_name = "URL")]
    proxy_url: Option<OrNull<String>>,
    /// User name at the proxy
    #[arg(long, value_name = "NAME")]
    proxy_username: Option<OrNull<String>>,
    /// Password at the proxy
    #[arg(long, value_name = "PASSWORD")]
    proxy_password: Option<OrNull<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct Redeliver {
    #[command(flatten)]
    lookup: WebhookLookup,
    /// UUID of the message
    #[arg(long, value_name = "UUID", value_parser = uuid)]
    delivery: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeliveryCommand {
    /// List the messages of a webhook, and what became of them
    List(Deliveries),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    Waiting,
    Delivered,
    Failed,
}

#[derive(Debug, Args)]
pub(crate) struct Deliveries {
    #[command(flatten)]
    lookup: WebhookLookup,
    #[command(flatten)]
    page: Page,
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
}

impl Options {
    async fn body(&self, cx: &Context) -> Result<Body> {
        Ok(Body::new()
            .with("repository", cx.target_if(&Category::ANY_REPOSITORY, self.repository.as_ref()).await?)
            .with("label_select", self.label_select.as_ref())
            .with("enabled", self.enabled.get())
            .with("ca_cert", self.ca_cert.as_ref())
            .with("tls_validation", self.tls_validation.get())
            .with("proxy_url", self.proxy_url.as_ref())
            .with("proxy_username", self.proxy_username.as_ref())
            .with("proxy_password", self.proxy_password.as_ref()))
    }
}

fn names(events: &[Event]) -> Option<Vec<String>> {
    (!events.is_empty()).then(|| events.iter().map(name).collect())
}

impl WebhookCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Create(create) => {
                let body = Body::new()
                    .with("name", Some(&create.name))
                    .with("url", Some(&create.url))
                    .with("secret", Some(&create.secret))
                    .with("events", names(&create.events));
                cx.create(&WEBHOOK, body.and(create.options.body(cx).await?)).await
            }
            Self::List(list) => list.exec(cx, WEBHOOK.path()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &WEBHOOK).await?),
            Self::Update(update) => {
                let body = Body::new()
                    .with("url", update.url.as_deref())
                    .with("secret", update.secret.as_deref())
                    .with("events", names(&update.events));
                let href = update.lookup.href(cx, &WEBHOOK).await?;
                cx.update(&href, body.and(update.options.body(cx).await?)).await
            }
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &WEBHOOK).await?).await,
            Self::Ping(lookup) => send(cx, &lookup.href(cx, &WEBHOOK).await?, "ping", Body::new()).await,
            Self::Redeliver(redeliver) => {
                let href = redeliver.lookup.href(cx, &WEBHOOK).await?;
                send(cx, &href, "redeliver", Body::new().with("delivery", Some(&redeliver.delivery))).await
            }
            Self::Delivery(DeliveryCommand::List(list)) => {
                let path = format!("{}deliveries/", list.lookup.href(cx, &WEBHOOK).await?);
                list.page.exec(cx, &path, Query::new().with("state", list.state.as_ref().map(name))).await
            }
            Self::Role(command) => command.exec(cx, &WEBHOOK).await,
        }
    }
}

/// Prints which message is sent.
async fn send(cx: &Context, href: &str, action: &str, body: Body) -> Result<()> {
    let answer = cx.client.post(&format!("{href}{action}/"), body.into()).await?;
    cx.print(&answer.body)
}
