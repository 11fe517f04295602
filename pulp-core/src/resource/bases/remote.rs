//! What every remote has.

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use super::super::field::hidden_fields_shape;
use super::super::{Change, Compute, Context, Create, Field, Filter, Kind, Noun, Record, Resource};
use crate::Result;

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
        resource.update = Change::Task;
        resource.delete = Change::Task;
        resource.labels = Some(201);
        resource.roles = true;
        resource
            .fields([
                super::name("A unique name for this remote."),
                Field::text("url").required().in_base().help("The address of the upstream."),
                super::labels(),
                Field::computed("hidden_fields", hidden_fields_shape(), HiddenFields).help("Which secrets are set."),
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
        Field::text("ca_cert").nullable().in_base().help("PEM of the authorities that the upstream's certificate is checked against."),
        Field::text("client_cert").nullable().in_base().help("PEM of the certificate that is shown to the upstream."),
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
        Field::integer("max_retries").nullable().in_base().help("Retries of a download that failed; 3 if unset."),
        seconds("total_timeout", "Seconds for a whole download."),
        seconds("connect_timeout", "Seconds to get a connection, waiting for a free one included."),
        seconds("sock_connect_timeout", "Seconds to connect to the upstream."),
        seconds("sock_read_timeout", "Seconds between two pieces of a download."),
        Field::list("headers", Kind::Dictionary).in_base().help("Headers to send: a list of objects of one name and its value."),
        Field::integer("rate_limit").nullable().in_base().help("Requests per second."),
    ]
}

/// Credentials have fields of their own; in the address they would be shown to everybody.
fn proxy_url(value: &Json) -> Result<(), String> {
    match value.as_str().and_then(|url| url::Url::parse(url).ok()) {
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("proxy_url must not contain credentials: use proxy_username and proxy_password.".to_owned())
        }
        _ => Ok(()),
    }
}

struct HiddenFields;

#[async_trait]
impl Compute for HiddenFields {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        // A secret column is read as whether it is set: its text never leaves the database here.
        let of = |row: &Record| SECRETS.iter().map(|name| json!({"name": name, "is_set": row.boolean(name).unwrap_or(false)})).collect();
        Ok(rows.iter().map(|row| vec![Json::Array(of(row))]).collect())
    }
}
