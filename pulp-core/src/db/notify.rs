//! Telling other processes that something happened: LISTEN and NOTIFY on PostgreSQL, a channel in the process on SQLite.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use tokio::sync::broadcast;

use super::DbError;

/// PostgreSQL’s own channel, which carries ours as the first word of the payload.
const CHANNEL: &str = "pulp";

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Our channel. `""` after the connection was lost: anything may have happened meanwhile.
    pub channel: String,
    /// What it says.
    pub payload: String,
}

#[derive(Debug)]
pub(super) struct Notifier {
    sender: broadcast::Sender<Notification>,
    pool: Option<PgPool>,
    listening: OnceLock<Listening>,
}

/// Ends the listener with the pool.
#[derive(Debug)]
struct Listening(tokio::task::JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Notifier {
    pub(super) fn local() -> Self {
        Self { sender: broadcast::channel(1024).0, pool: None, listening: OnceLock::new() }
    }

    pub(super) fn postgres(pool: PgPool) -> Self {
        Self { pool: Some(pool), ..Self::local() }
    }

    pub(super) async fn send(&self, channel: &str, payload: &str) -> Result<(), DbError> {
        match &self.pool {
            Some(pool) => {
                sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(format!("{channel} {payload}")).execute(pool).await?;
            }
            None => {
                // No receiver is no error.
                let _ = self.sender.send(Notification { channel: channel.to_owned(), payload: payload.to_owned() });
            }
        }
        Ok(())
    }

    /// Ends the listener's connection. Notifications after it are lost.
    pub(super) fn close(&self) {
        if let Some(listening) = self.listening.get() {
            listening.0.abort();
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Notification> {
        if let Some(pool) = &self.pool {
            self.listening.get_or_init(|| Listening(tokio::spawn(listen(pool.connect_options(), self.sender.clone()))));
        }
        self.sender.subscribe()
    }
}

async fn listen(connect: Arc<PgConnectOptions>, sender: broadcast::Sender<Notification>) {
    loop {
        if let Err(error) = forward(&connect, &sender).await {
            tracing::warn!(%error, "the connection for notifications is lost; trying again");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn forward(connect: &PgConnectOptions, sender: &broadcast::Sender<Notification>) -> Result<(), sqlx::Error> {
    // A connection of its own: one taken from the pool for ever would be missing there, and closing the pool would wait for it.
    let own = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).connect_lazy_with(connect.clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.listen(CHANNEL).await?;
    // Whatever was said while nobody listened is lost: tell so.
    let _ = sender.send(Notification { channel: String::new(), payload: String::new() });
    while let Some(received) = listener.try_recv().await? {
        if let Some((channel, payload)) = received.payload().split_once(' ') {
            let _ = sender.send(Notification { channel: channel.to_owned(), payload: payload.to_owned() });
        }
    }
    Ok(())
}
