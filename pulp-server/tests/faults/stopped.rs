//! SIGTERM: what is open gets its time, and no more.

use std::time::{Duration, Instant};

use futures::StreamExt;
use http::Method;
use pulp_testkit::{Blob, Fault, Upstream, both_databases};
use serde_json::json;

use crate::world::Server;

/// Both time limits of the stop, and a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(15);

both_databases! {
    async fn a_server_stops_in_time_whatever_its_clients_and_tasks_do(server: Server) {
        let server = Server(server.0.setting("task_grace_interval", 1).setting("shutdown_timeout", 1));
        let upstream = Upstream::start().await.file("large.iso", Blob::seeded(1, 64 << 20)).manifest();
        let process = server.start().await;
        let client = process.client();
        let world = client.file_repo("isos").remote(&upstream).sync().publish().distribute().await;
        // A client that holds its connection, one that reads nothing of a large file, and one that never ends its request.
        assert_eq!(client.try_get("status/").await.status, 200);
        let mut reading = client.request(Method::GET, &world.path("large.iso")).send().await.unwrap().bytes_stream();
        assert!(reading.next().await.unwrap().is_ok());
        let endless = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let sending = client.request(Method::POST, "artifacts/").header("content-type", "multipart/form-data; boundary=x");
        let sending = tokio::spawn(sending.body(reqwest::Body::wrap_stream(endless)).send());
        // A task that waits for an upstream, and one that waits for the first.
        upstream.put("held.iso", Blob::seeded(2, 100_000));
        upstream.write_manifest();
        upstream.plan("held.iso", Fault::HoldAt(1_000));
        let sync = format!("{}sync/", world.href());
        let (runs, waits) = (client.post(&sync, json!({})).await.task(), client.post(&sync, json!({})).await.task());
        upstream.wait_bytes("held.iso", 1_000).await;

        let begun = Instant::now();
        let status = process.terminate(LIMIT).await;
        assert!(status.success(), "{status}");
        assert!(begun.elapsed() >= Duration::from_secs(1), "what was open got its time");
        assert!(sending.await.unwrap().is_err());
        assert_eq!(server.unfinished(), [] as [std::path::PathBuf; 0]);

        let process = server.start().await;
        let client = process.client();
        let aborted = client.get(&runs).await;
        assert_eq!((&aborted["state"], &aborted["error"]["description"]), (&json!("failed"), &json!("Aborted during worker shutdown.")));
        upstream.release();
        assert_eq!(client.ended(&waits).await["state"], "completed", "what had not begun is done after the restart");
        assert!(process.terminate(LIMIT).await.success());
    }
}
