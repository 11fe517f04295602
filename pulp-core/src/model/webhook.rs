//! Webhooks, and what is sent to them.

use std::fmt;

use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::model;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql, Tx};
use crate::ids::new_id;

/// A row of `core_webhook`. The secret columns hold ciphertext; its `Debug` leaves them out.
#[derive(Clone, FromRow)]
pub struct Webhook {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// Unique in the domain.
    pub name: String,
    /// Where messages go.
    pub url: String,
    /// Encrypted: what they are signed with.
    pub secret: String,
    /// Names of events.
    pub events: Column<Vec<String>>,
    /// Only what concerns this repository.
    pub repository_id: Option<Uuid>,
    /// Only what concerns repositories with such labels.
    pub label_select: Option<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// See [`Remote`](super::Remote) for this and what follows.
    pub ca_cert: Option<String>,
    /// PEM of our certificate.
    pub client_cert: Option<String>,
    /// Encrypted.
    pub client_key: Option<String>,
    /// Whether the other side's certificate is checked.
    pub tls_validation: bool,
    /// The proxy's address.
    pub proxy_url: Option<String>,
    /// Encrypted.
    pub proxy_username: Option<String>,
    /// Encrypted.
    pub proxy_password: Option<String>,
    /// The domain.
    pub pulp_domain_id: Uuid,
}
model!(Webhook, "core_webhook", "webhook");

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("pulp_id", &self.pulp_id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Those for which messages are due: an entry of an index is read for each webhook, however many messages wait.
    pub(crate) async fn with_due<E: Executor + ?Sized>(executor: &E, now: Timestamp) -> Result<Vec<Self>, DbError> {
        let sql = Sql::new(
            "select w.* from core_webhook w where exists (select 1 from core_webhookdelivery d where d.webhook_id = w.pulp_id \
             and d.state = 'waiting' and d.next_attempt <= $1 and (w.enabled or d.event = 'ping'))",
        );
        executor.all(sql.bind(now)).await
    }
}

/// Which events a webhook is told of.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Subscription {
    pub(crate) pulp_id: Uuid,
    pub(crate) events: Column<Vec<String>>,
    pub(crate) repository_id: Option<Uuid>,
    pub(crate) label_select: Option<String>,
    pub(crate) pulp_domain_id: Uuid,
}

impl Subscription {
    /// Of all webhooks that are enabled.
    pub(crate) async fn all<E: Executor + ?Sized>(executor: &E) -> Result<Vec<Self>, DbError> {
        executor
            .all("select pulp_id, events, repository_id, label_select, pulp_domain_id from core_webhook where enabled order by pulp_id")
            .await
    }
}

/// A row of `core_webhookdelivery`.
#[derive(Debug, Clone, FromRow)]
pub struct WebhookDelivery {
    /// Key; the receiver sees it, and can tell by it what it has seen before.
    pub pulp_id: Uuid,
    /// When what it tells happened.
    pub pulp_created: Timestamp,
    /// Name of the event.
    pub event: String,
    /// What is sent, byte for byte.
    pub body: String,
    /// How often it was sent, or tried to be.
    pub attempts: i64,
    /// When it is sent next.
    pub next_attempt: Option<Timestamp>,
    /// From then on it is not tried again.
    pub retry_until: Timestamp,
    /// To whom.
    pub webhook_id: Uuid,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Of the answer, if there was one.
    pub(crate) status: Option<u16>,
    /// How the answer began.
    pub(crate) response: Option<String>,
    /// Why it is no success.
    pub(crate) error: Option<String>,
    /// When to try again; nothing if it is over.
    pub(crate) next: Option<Timestamp>,
}

const COLUMNS: &str = "d.pulp_id, d.pulp_created, d.event, d.body, d.attempts, d.next_attempt, d.retry_until, d.webhook_id";

impl WebhookDelivery {
    /// Writes a message for each of these webhooks, as far as they are still there and enabled; `body` is given the key of its delivery.
    pub(crate) async fn write(
        tx: &Tx,
        webhooks: &[Uuid],
        event: &str,
        body: impl Fn(Uuid) -> String,
        now: Timestamp,
        retry_until: Timestamp,
    ) -> Result<(), DbError> {
        for webhook in webhooks {
            let id = new_id();
            let sql = Sql::new(
                "insert into core_webhookdelivery (pulp_id, pulp_created, pulp_last_updated, event, body, next_attempt, retry_until, webhook_id) \
                 select $1, $2, $2, $3, $4, $2, $5, w.pulp_id from core_webhook w where w.pulp_id = $6 and w.enabled",
            );
            tx.execute(sql.bind(id).bind(now).bind(event).bind(body(id)).bind(retry_until).bind(*webhook)).await?;
        }
        Ok(())
    }

    /// Writes a message for one webhook, enabled or not; its key.
    pub(crate) async fn write_one<E: Executor + ?Sized>(
        executor: &E,
        webhook: Uuid,
        event: &str,
        body: impl Fn(Uuid) -> String,
        now: Timestamp,
        retry_until: Timestamp,
    ) -> Result<Uuid, DbError> {
        let id = new_id();
        let sql = Sql::new(
            "insert into core_webhookdelivery (pulp_id, pulp_created, pulp_last_updated, event, body, next_attempt, retry_until, webhook_id) \
             values ($1, $2, $2, $3, $4, $2, $5, $6)",
        );
        executor.execute(sql.bind(id).bind(now).bind(event).bind(body(id)).bind(retry_until).bind(webhook)).await?;
        Ok(id)
    }

    /// The first for a webhook that are due. What is for one that is not enabled waits, but for what is sent to try it.
    pub(crate) async fn due<E: Executor + ?Sized>(
        executor: &E,
        webhook: &Webhook,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Self>, DbError> {
        let only = if webhook.enabled { "" } else { " and d.event = 'ping'" };
        let sql = Sql::new(format!(
            "select {COLUMNS} from core_webhookdelivery d where d.webhook_id = $1 and d.state = 'waiting' and d.next_attempt <= $2{only} \
             order by d.next_attempt limit {most}"
        ));
        executor.all(sql.bind(webhook.pulp_id).bind(now)).await
    }

    /// Takes it for an attempt: until `lease` nobody else does. Not if somebody was faster.
    pub(crate) async fn claim<E: Executor + ?Sized>(&self, executor: &E, now: Timestamp, lease: Timestamp) -> Result<bool, DbError> {
        let sql = Sql::new(
            "update core_webhookdelivery set attempts = attempts + 1, last_attempt = $1, pulp_last_updated = $1, next_attempt = $2, \
             status = null, response = null, error = null \
             where pulp_id = $3 and state = 'waiting' and next_attempt = $4",
        );
        Ok(executor.execute(sql.bind(now).bind(lease).bind(self.pulp_id).bind(self.next_attempt)).await? > 0)
    }

    /// Notes what became of an attempt that was claimed until `lease`.
    pub(crate) async fn note<E: Executor + ?Sized>(
        &self,
        executor: &E,
        lease: Timestamp,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let state = match (&attempt.error, attempt.next) {
            (None, _) => "delivered",
            (Some(_), Some(_)) => "waiting",
            (Some(_), None) => "failed",
        };
        let sql = Sql::new(
            "update core_webhookdelivery set state = $1, status = $2, response = $3, error = $4, next_attempt = $5, finished_at = $6, \
             pulp_last_updated = $7 where pulp_id = $8 and state = 'waiting' and next_attempt = $9",
        );
        let finished = (state != "waiting").then_some(now);
        let sql = sql.bind(state).bind(attempt.status.map(i64::from)).bind(attempt.response.clone()).bind(attempt.error.clone());
        executor.execute(sql.bind(attempt.next).bind(finished).bind(now).bind(self.pulp_id).bind(lease)).await?;
        Ok(())
    }

    /// Has it sent again, from the beginning; not if there is none of this webhook.
    pub(crate) async fn again<E: Executor + ?Sized>(
        executor: &E,
        webhook: Uuid,
        id: Uuid,
        now: Timestamp,
        retry_until: Timestamp,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "update core_webhookdelivery set state = 'waiting', attempts = 0, next_attempt = $1, retry_until = $2, finished_at = null, \
             pulp_last_updated = $1 where pulp_id = $3 and webhook_id = $4",
        );
        Ok(executor.execute(sql.bind(now).bind(retry_until).bind(id).bind(webhook)).await? > 0)
    }

    /// Removes some that are older; how many.
    pub(crate) async fn expire<E: Executor + ?Sized>(executor: &E, before: Timestamp, most: u64) -> Result<u64, DbError> {
        let old = format!("select pulp_id from core_webhookdelivery where pulp_created < $1 limit {most}");
        executor.execute(Sql::new(format!("delete from core_webhookdelivery where pulp_id in ({old})")).bind(before)).await
    }
}
