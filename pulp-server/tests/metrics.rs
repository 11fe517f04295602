//! `/metrics`: what it says, and to whom.

use std::collections::{BTreeMap, HashSet};
use std::net::TcpListener;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use prost::Message as _;
use pulp_testkit::{Blob, Engine, Launch, Prepare, Process, Program, Upstream, both_databases};
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Server(Program);

#[async_trait]
impl Prepare for Server {
    async fn prepare(engine: Engine) -> Option<Self> {
        Program::new(env!("CARGO_BIN_EXE_pulp-server"), engine).await.map(Self)
    }
}

async fn ask(url: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = headers.iter().fold(client.get(url), |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// The samples by name and labels, of a text in which each is announced, and none stands twice.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut known, mut samples) = (HashSet::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(known.insert(name.to_owned()), "{name} is announced twice");
            if kind == "histogram" {
                known.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")));
            }
        } else if !line.starts_with("# HELP ") {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            assert!(known.contains(name), "{name} is not announced");
            assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{sample} stands twice");
        }
    }
    samples
}

async fn read(process: &Process) -> BTreeMap<String, f64> {
    let (status, text) = ask(&format!("{}/metrics", process.client().base_url()), &[]).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    samples(&text)
}

both_databases! {
    async fn what_happens_is_counted(server: Server) {
        let process = server.0.start().await;
        let client = process.client();
        let before = read(&process).await;
        assert_eq!(before.get("pulp_database_up"), Some(&1.0));
        assert_eq!(before.get("pulp_content_bytes_total"), Some(&0.0));
        let upstream = Upstream::start().await.file("a", Blob::seeded(1, 1_000)).file("b", Blob::seeded(2, 3_000_000)).manifest();
        let world = client.file_repo("isos").autopublish().remote(&upstream).policy("on_demand").sync().distribute().await;
        for (path, status) in [("a", 200), ("a", 200), ("b", 200), ("nothing", 404)] {
            assert_eq!(ask(&client.url(&world.path(path)), &[]).await.0, status);
        }
        let after = read(&process).await;
        let number = |sample: &str| after.get(sample).copied().unwrap_or_else(|| panic!("no {sample}"));
        assert_eq!(number("content_request_duration_milliseconds_count{http_method=\"GET\",http_status_code=\"2xx\"}"), 3.0);
        assert_eq!(number("content_request_duration_milliseconds_count{http_method=\"GET\",http_status_code=\"4xx\"}"), 1.0);
        assert!(number("pulp_content_bytes_total") >= 3_002_000.0);
        assert_eq!(number("pulp_lazy_fetches_total{result=\"fetched\"}"), 2.0);
        assert_eq!(number("pulp_upstream_bytes_total{for=\"lazy\"}"), 3_001_000.0);
        let sync = "task_name=\"pulp_file.app.tasks.synchronizing.synchronize\"";
        assert_eq!(number(&format!("pulp_tasks_ended_total{{{sync},state=\"completed\"}}")), 1.0);
        assert_eq!(number(&format!("pulp_task_duration_seconds_count{{{sync}}}")), 1.0);
        assert_eq!(number(&format!("pulp_task_start_latency_seconds_count{{{sync}}}")), 1.0);
        assert!(number("api_request_duration_milliseconds_count{http_method=\"POST\",http_status_code=\"2xx\"}") >= 3.0);
        // How many there are is looked at once a second.
        let quiet = [
            ("pulp_tasks{state=\"waiting\"}", 0.0),
            ("pulp_tasks{state=\"running\"}", 0.0),
            ("tasks_unblocked_queue", 0.0),
            ("tasks_longest_unblocked_time_seconds", 0.0),
            ("pulp_apps_online{app_type=\"api\"}", 1.0),
            ("pulp_apps_online{app_type=\"worker\"}", 1.0),
            ("pulp_lazy_fetches{state=\"running\"}", 0.0),
            ("pulp_upstream_hosts_in_trouble", 0.0),
            ("pulp_spool_bytes", 0.0),
        ];
        let others = |now: &BTreeMap<String, f64>| quiet.iter().find(|(sample, value)| now.get(*sample) != Some(value)).map(|(sample, _)| *sample);
        let mut now = after.clone();
        for _ in 0..50 {
            if others(&now).is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            now = read(&process).await;
        }
        assert_eq!(others(&now), None, "{now:?}");
        assert!(number("process_resident_memory_bytes") > 1e6);
        assert!(after.keys().any(|sample| sample.starts_with("pulp_database_connections{pool=")));
    }

    async fn it_is_for_this_host_and_for_administrators(server: Server) {
        let process = server.0.start().await;
        let client = process.client();
        let url = format!("{}/metrics", client.base_url());
        let made = client.post("tokens/", json!({"name": "scraper", "read_only": true})).await.with(201);
        let token = format!("Bearer {}", made["token"].as_str().unwrap());
        let narrow = client.post("tokens/", json!({"name": "narrow", "permissions": ["core.view_task"]})).await.with(201);
        let narrow = format!("Bearer {}", narrow["token"].as_str().unwrap());
        let far = ("x-forwarded-for", "192.0.2.7");
        for (headers, status) in [
            (vec![], 200),
            (vec![far], 401),
            (vec![("host", "pulp.example.org")], 401),
            (vec![far, ("authorization", &*token)], 200),
            (vec![far, ("authorization", &*narrow)], 403),
            (vec![far, ("authorization", "Bearer pulp_00")], 401),
        ] {
            let (answered, text) = ask(&url, &headers).await;
            assert_eq!(answered, status, "{headers:?}: {text}");
            assert_eq!(text.contains("# TYPE"), status == 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_turned_off_opened_and_put_elsewhere() {
    let far = [("x-forwarded-for", "192.0.2.7")];
    for (access, near_status, far_status) in [("off", 404, 404), ("administrators", 401, 401), ("anyone", 200, 200)] {
        let server = Server::prepare(Engine::Sqlite).await.unwrap().0.setting("metrics", access);
        let process = server.start().await;
        let url = format!("{}/metrics", process.client().base_url());
        assert_eq!(ask(&url, &[]).await.0, near_status, "{access}");
        assert_eq!(ask(&url, &far).await.0, far_status, "{access}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::prepare(Engine::Sqlite).await.unwrap().0.setting("metrics_listen", free);
    let process = server.start().await;
    let (status, text) = ask(&format!("http://{free}/metrics"), &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(samples(&text).contains_key("pulp_database_up"));
    assert_eq!(ask(&format!("http://{free}/pulp/api/v3/status/"), &[]).await.0, 404);
    drop(process);
}

/// A collector that takes one message: it and the headers with which it came.
async fn collect(listener: &tokio::net::TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut all = Vec::new();
    let (head, body) = loop {
        assert!(stream.read_buf(&mut all).await.unwrap() > 0, "it left early");
        let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse::<usize>().unwrap();
        if all.len() == end + 4 + length {
            break (head, all.split_off(end + 4));
        }
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
    (head, body)
}

both_databases! {
    async fn a_collector_is_told_at_intervals_and_in_the_end(server: Server) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let program = server.0.setting("otel_enabled", true);
        let launch = Launch::default()
            .environment("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}/otlp", listener.local_addr().unwrap()))
            .environment("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b")
            .environment("OTEL_SERVICE_NAME", "mirror");
        let process = program.start_as(&launch.clone().environment("OTEL_METRIC_EXPORT_INTERVAL", "300")).await;
        let (head, body) = collect(&listener).await;
        assert!(head.starts_with("post /otlp/v1/metrics ") && head.contains("x-team: a b"), "{head}");
        let of_resource = ExportMetricsServiceRequest::decode(&*body).unwrap().resource_metrics.remove(0);
        let service = of_resource.resource.unwrap().attributes.remove(0);
        assert_eq!((service.key, service.value.unwrap().value), ("service.name".to_owned(), Some(any_value::Value::StringValue("mirror".to_owned()))));
        let names: HashSet<String> = of_resource.scope_metrics[0].metrics.iter().map(|metric| metric.name.clone()).collect();
        for name in ["content.request_duration", "pulp_content", "pulp_tasks", "tasks_unblocked_queue"] {
            assert!(names.contains(name), "{name} is not among {names:?}");
        }
        process.kill().await;

        // Not before a minute is over, but at the end.
        let process = program.start_as(&launch).await;
        let ((_, body), ended) = tokio::join!(collect(&listener), process.terminate(Duration::from_secs(20)));
        assert!(ended.success());
        ExportMetricsServiceRequest::decode(&*body).unwrap();
    }
}
