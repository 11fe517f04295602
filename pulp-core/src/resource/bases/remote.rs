//! What every remote has.

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::access::permission;
use super::super::field::hidden_fields_shape;
use super::super::{AccessPolicy, Change as Changed, Compute, Context, Create, Field, Filter, Hooks, Input, Kind, Noun, Record, Resource};
use crate::content::Change;
use crate::{Error, Result};

/// The encrypted columns, in the order in which `hidden_fields` shows them.
const SECRETS: [&str; 5] = ["client_key", "proxy_username", "proxy_password", "username", "password"];

impl Resource {
    /// A remote type: `pulp_type` is its type’s name (`file.file`), `schema` the name of its schema. A type that can fetch
    /// lazily adds [`policy`]; others give the column a [constant](Resource::constant).
    pub fn remote(path: &'static str, pulp_type: &'static str, schema: &'static str) -> Self {
        let mut resource = Self::new(path, "core_remote", schema);
        resource.noun = Noun::Remote;
        resource.pulp_type = Some(pulp_type);
        resource.create = Create::Now;
        resource.update = Changed::Task;
        resource.delete = Changed::Task;
        resource.labels = Some(201);
        resource.roles = true;
        // Those that were deleted, and whose sources are kept.
        resource.visible = Some("b.deleted_at is null");
        resource.actions.push(super::dependents::action());
        let view = format!("has_model_or_domain_or_obj_perms:{}", permission(&resource.model, "view"));
        resource.policy = Some(AccessPolicy::usual().rule(&["dependents"], &[&view]));
        resource
            .hooks(Rules)
            .fields([
                super::name("A unique name for this remote."),
                Field::text("url").required().in_base().check(no_credentials).help("The address of the upstream."),
                super::labels(),
                hidden_fields(&SECRETS),
            ])
            .fields(network_fields())
            .ordered_by([
                "ca_cert",
                "client_cert",
                "client_key",
                "connect_timeout",
                "download_concurrency",
                "headers",
                "max_retries",
                "name",
                "password",
                "policy",
                "proxy_password",
                "proxy_url",
                "proxy_username",
                "pulp_labels",
                "pulp_type",
                "rate_limit",
                "sock_connect_timeout",
                "sock_read_timeout",
                "tls_validation",
                "total_timeout",
                "url",
                "username",
            ])
            .filters([Filter::name("name"), Filter::time("pulp_last_updated")])
    }
}

/// When files are fetched: these of the three [policies](crate::model::Policy).
pub fn policy(words: &'static [&'static str]) -> Field {
    Field::choice("policy", "PolicyEnum", words)
        .default("immediate")
        .in_base()
        .help("When files are fetched: at sync, when somebody asks for one and stored then, or whenever somebody asks and never stored.")
}

/// How an upstream is reached: all of a remote but its name and address. Also the fields of a `downloader_config`.
pub fn network_fields() -> Vec<Field> {
    let seconds = |name, help| Field::float(name).nullable().at_least(0).in_base().help(help);
    vec![
        Field::text("ca_cert")
            .nullable()
            .in_base()
            .check(|value| certificate("ca_cert", value))
            .help("PEM of the authorities that the upstream's certificate is checked against."),
        Field::text("client_cert")
            .nullable()
            .in_base()
            .check(|value| certificate("client_cert", value))
            .help("PEM of the certificate that is shown to the upstream."),
        Field::secret("client_key").nullable().in_base().help("PEM of that certificate's private key."),
        Field::boolean("tls_validation").quiet_default(true).in_base().help("Whether the upstream's certificate is checked."),
        Field::text("proxy_url")
            .nullable()
            .in_base()
            .check(proxy_url)
            .help("The proxy's address: scheme://host:port, without credentials."),
        Field::secret("proxy_username").nullable().in_base().help("The user name at the proxy."),
        Field::secret("proxy_password").nullable().in_base().keep_space().help("The password at the proxy."),
        Field::secret("username").nullable().in_base().help("The user name at the upstream."),
        Field::secret("password").nullable().in_base().keep_space().help("The password at the upstream."),
        Field::integer("download_concurrency").nullable().at_least(1).in_base().help("Downloads at the same time; 10 if unset."),
        Field::integer("max_retries")
            .nullable()
            .at_least(0)
            .keyword("minimum", Json::Null)
            .in_base()
            .help("Retries of a download that failed; 3 if unset."),
        seconds("total_timeout", "Seconds for a whole download."),
        seconds("connect_timeout", "Seconds to get a connection, waiting for a free one included."),
        seconds("sock_connect_timeout", "Seconds to connect to the upstream."),
        seconds("sock_read_timeout", "Seconds between two pieces of a download."),
        Field::list("headers", Kind::Dictionary).in_base().help("Headers to send: a list of objects of one name and its value."),
        Field::integer("rate_limit").nullable().at_least(0).keyword("minimum", Json::Null).in_base().help("Requests per second."),
    ]
}

fn has_credentials(value: &Json) -> bool {
    let url = value.as_str().and_then(|text| url::Url::parse(text).ok());
    url.is_some_and(|url| !url.username().is_empty() || url.password().is_some())
}

/// Credentials have fields of their own; in the address they would be shown to everybody.
fn no_credentials(value: &Json) -> Result<(), String> {
    if has_credentials(value) {
        return Err("The remote url contains username or password. Please use remote username or password instead.".to_owned());
    }
    Ok(())
}

fn proxy_url(value: &Json) -> Result<(), String> {
    if has_credentials(value) { Err("proxy_url must not contain credentials".to_owned()) } else { Ok(()) }
}

fn certificate(field: &str, value: &Json) -> Result<(), String> {
    let pem = value.as_str().unwrap_or_default();
    match CertificateDer::pem_slice_iter(pem.as_bytes()).next() {
        Some(Ok(_)) => Ok(()),
        _ => Err(format!("No {field} specified in string {pem}")),
    }
}

/// What concerns several fields of a remote, or the settings.
struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        if let Some(path) = input.text("url").and_then(|url| url.strip_prefix("file://")) {
            let path = path.strip_prefix("localhost").unwrap_or(path);
            let refused = |message: String| Err(Error::field("url", message));
            if !path.starts_with('/') {
                return refused(format!("The path '{path}' needs to be an absolute pathname."));
            }
            // A path with `..` could lead anywhere, whatever it starts with.
            let plain = std::path::Path::new(path).components().all(|part| !matches!(part, std::path::Component::ParentDir));
            if !plain || !cx.pulp().settings().allowed_import_paths.iter().any(|allowed| std::path::Path::new(path).starts_with(allowed)) {
                return refused(format!("The path '{path}' does not start with any of the allowed import paths"));
            }
        }
        check_proxy(input, current)
    }

    async fn committed(&self, cx: &Context, _: Uuid) {
        Change::Everything.announce(cx.pulp()).await;
    }
}

/// The credentials of a proxy go together, and with its address.
///
/// # Errors
/// What is lacking.
pub(crate) fn check_proxy(input: &Input, current: Option<&Record>) -> Result<()> {
    let will_be_set = |field: &str, secret: bool| match input.get(field) {
        Some(value) => !value.is_null(),
        None => current.is_some_and(|row| if secret { row.boolean(field) == Some(true) } else { row.text(field).is_some() }),
    };
    let (user, password) = (will_be_set("proxy_username", true), will_be_set("proxy_password", true));
    let refused = |message: &str| Err(Error::Refused(json!({"non_field_errors": [message]})));
    if (user || password) && !will_be_set("proxy_url", false) {
        return refused("proxy credentials cannot be specified without a proxy");
    }
    if user != password {
        return refused("proxy username and password can only be specified together");
    }
    Ok(())
}

/// Which of these encrypted columns are set.
pub(crate) fn hidden_fields(secrets: &'static [&'static str]) -> Field {
    Field::computed("hidden_fields", hidden_fields_shape(), HiddenFields(secrets)).help("Which secrets are set.")
}

struct HiddenFields(&'static [&'static str]);

#[async_trait]
impl Compute for HiddenFields {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        // A secret column is read as whether it is set: its text never leaves the database here.
        let of = |row: &Record| self.0.iter().map(|name| json!({"name": name, "is_set": row.boolean(name).unwrap_or(false)})).collect();
        Ok(rows.iter().map(|row| vec![Json::Array(of(row))]).collect())
    }
}
