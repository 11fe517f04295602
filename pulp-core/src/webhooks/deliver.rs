//! Sending what is due: by every process that has workers, each message by one of them.

use std::sync::Arc;

use chrono::TimeDelta;
use http::StatusCode;

use super::circuit::Request;
use super::send::Sender;
use crate::clock::Timestamp;
use crate::model::{Attempt, Webhook, WebhookDelivery};
use crate::{Pulp, Result};

/// Messages of one webhook that are begun in one go.
const AT_ONCE: usize = 4;

/// Seconds for which a message is held: longer than a request may take. A process that dies leaves it to others after that.
const LEASE: i64 = 60;

/// Seconds after the first failure; that doubles each time, up to the second number.
const PAUSES: (i64, i64) = (10, 3_600);

/// Messages that are removed at once.
const BATCH: u64 = 1_000;

/// Begins to send what is due, as much as there is room for.
pub(crate) async fn deliver_due(pulp: Pulp) -> Result<()> {
    if pulp.webhooks().room.available_permits() == 0 {
        return Ok(());
    }
    let mut all = Webhook::with_due(pulp.db(), pulp.now()).await?;
    // Where there is not room for all, each is the first at times.
    if !all.is_empty() {
        let first = rand::random_range(0..all.len());
        all.rotate_left(first);
    }
    for webhook in all {
        if !begin(&pulp, &webhook).await? {
            break;
        }
    }
    Ok(())
}

/// Begins to send messages of a webhook; whether there is room for those of others.
async fn begin(pulp: &Pulp, webhook: &Webhook) -> Result<bool> {
    let (state, db, now) = (pulp.webhooks(), pulp.db(), pulp.now());
    let lease = now + TimeDelta::seconds(LEASE);
    let sender = state.senders.of(pulp, webhook);
    for delivery in WebhookDelivery::due(db, webhook, now, AT_ONCE).await? {
        let sender = match &sender {
            Ok(sender) => Arc::clone(sender),
            Err(error) => {
                if delivery.claim(db, now, lease).await? {
                    let outcome = Outcome { status: None, response: None, error: Some(error.public_message()) };
                    delivery.note(db, lease, &outcome.attempt(pulp, &delivery), now).await?;
                }
                continue;
            }
        };
        // A host that has enough to do, or is left alone for a while, is looked at again the next time.
        let Some(request) = state.circuits.admit(&sender.host(), now) else { return Ok(true) };
        let Ok(room) = Arc::clone(&state.room).try_acquire_owned() else { return Ok(false) };
        if delivery.claim(db, now, lease).await? {
            let pulp = pulp.clone();
            tokio::spawn(async move {
                send(&pulp, &delivery, &sender, request, lease).await;
                drop(room);
            });
        }
    }
    Ok(true)
}

/// What became of an attempt.
struct Outcome {
    status: Option<StatusCode>,
    response: Option<String>,
    error: Option<String>,
}

async fn send(pulp: &Pulp, delivery: &WebhookDelivery, sender: &Sender, request: Request, lease: Timestamp) {
    let sent = sender.send(delivery, delivery.attempts + 1, pulp.now()).await;
    // A refusal is an answer: the host is well.
    let well = sent.status.is_some_and(|status| !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS);
    request.ended(well, pulp.now());
    match &sent.error {
        None => tracing::debug!(webhook = %delivery.webhook_id, delivery = %delivery.pulp_id, event = delivery.event, "delivered"),
        Some(error) => {
            tracing::info!(webhook = %delivery.webhook_id, delivery = %delivery.pulp_id, event = delivery.event, error, "not delivered");
        }
    }
    let outcome = Outcome { status: sent.status, response: sent.response, error: sent.error };
    // Not noted, it is sent again when the lease is over.
    if let Err(error) = delivery.note(pulp.db(), lease, &outcome.attempt(pulp, delivery), pulp.now()).await {
        tracing::warn!(%error, delivery = %delivery.pulp_id, "it could not be noted what became of a message; it is sent again");
    }
}

impl Outcome {
    /// As it is noted: with the time of the next attempt, if there is to be one.
    fn attempt(self, pulp: &Pulp, delivery: &WebhookDelivery) -> Attempt {
        let now = pulp.now();
        let over = self.error.is_none() || self.status == Some(StatusCode::GONE);
        let next = now + pause(delivery.attempts + 1);
        Attempt {
            status: self.status.map(|status| status.as_u16()),
            response: self.response,
            error: self.error,
            next: (!over && next < delivery.retry_until).then_some(next),
        }
    }
}

/// The pause after so many attempts: twice as long each time, half of it by chance.
fn pause(attempts: i64) -> TimeDelta {
    let doubled = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    let seconds = PAUSES.0.saturating_mul(1 << doubled).min(PAUSES.1);
    TimeDelta::milliseconds(rand::random_range(seconds * 500..=seconds * 1_000))
}

/// Removes messages that are older than the settings keep them.
pub(crate) async fn expire(pulp: Pulp) -> Result<()> {
    let days = pulp.settings().webhook_retention_days;
    let age = TimeDelta::try_days(days).filter(|_| days > 0);
    let Some(before) = age.and_then(|age| pulp.now().checked_sub_signed(age)) else { return Ok(()) };
    // Other writers get their turn in between.
    while WebhookDelivery::expire(pulp.db(), before, BATCH).await? == BATCH {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour() {
        for (attempts, least, most) in [(1, 5, 10), (2, 10, 20), (5, 80, 160), (9, 1_280, 2_560), (10, 1_800, 3_600), (1_000, 1_800, 3_600)]
        {
            for _ in 0..50 {
                let pause = pause(attempts);
                assert!(pause >= TimeDelta::seconds(least) && pause <= TimeDelta::seconds(most), "{attempts}: {pause}");
            }
        }
    }
}
