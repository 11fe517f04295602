//! `pulp status`

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::wait;

/// Show the state of the server.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// How often to try again when the server cannot be reached
    #[arg(long, default_value_t = 0)]
    retries: u32,
    /// Seconds between two tries
    #[arg(long, default_value_t = 1, value_name = "SECONDS")]
    retry_delay: u64,
}

impl Status {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let mut left = self.retries;
        loop {
            match fetch(cx).await {
                Err(error) if left > 0 && wait::is_passing(&error) => {
                    left -= 1;
                    tokio::time::sleep(Duration::from_secs(self.retry_delay)).await;
                }
                answer => return cx.print(&answer?),
            }
        }
    }
}

/// The state of the server.
pub(crate) async fn fetch(cx: &Context) -> Result<Value> {
    cx.client.get_public("status/", &Query::new()).await
}
