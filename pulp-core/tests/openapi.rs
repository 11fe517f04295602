//! The API document: as it is served, and the same as a real Pulp’s.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use pulp_core::PulpBuilder;
use pulp_core::api::Api;
use pulp_core::body::Body;
use pulp_core::settings::Settings;
use pulp_testkit::openapi::compare;
use pulp_testkit::{Engine, Kit};
use serde_json::{Value, json};

const DOCUMENT: &str = "/pulp/api/v3/docs/api.json";

async fn kit() -> Kit {
    Kit::new(Engine::Sqlite).await.expect("SQLite is always there")
}

async fn ask(api: &Api, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<Vec<u8>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "pulp.example.org");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = api.handle(request.body(Body::empty()).expect("a request")).await.into_parts();
    let bytes = body.collect().await.expect("the body can be read").to_bytes();
    Response::from_parts(parts, bytes.to_vec())
}

async fn get(api: &Api, path: &str) -> Response<Vec<u8>> {
    ask(api, Method::GET, path, &[]).await
}

fn parsed(response: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

fn header<'r>(response: &'r Response<Vec<u8>>, name: &str) -> &'r str {
    response.headers().get(name).unwrap_or_else(|| panic!("{name}")).to_str().expect("a readable header")
}

#[tokio::test]
async fn nobody_has_to_log_in_to_read_it() {
    let kit = kit().await;
    let api = kit.pulp().api();
    let served = get(&api, DOCUMENT).await;
    assert_eq!(served.status(), StatusCode::OK);
    assert_eq!(header(&served, "content-type"), "application/vnd.oai.openapi+json");
    let mut document = parsed(&served);
    assert_eq!(document["openapi"], "3.0.1");
    assert_eq!(document["servers"], json!([{"url": "http://pulp.example.org/"}]));
    document["servers"] = json!([{"url": "/"}]);
    assert_eq!(document, api.openapi(None, false, false).expect("a document"));
    let yaml = get(&api, "/pulp/api/v3/docs/api.yaml").await;
    assert_eq!(header(&yaml, "content-type"), "application/vnd.oai.openapi; charset=utf-8");
    assert_eq!(yaml.body(), served.body());
    let head = ask(&api, Method::HEAD, DOCUMENT, &[]).await;
    assert_eq!((head.status(), head.body().len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn where_there_are_domains_it_is_in_none() {
    let describe = |builder: PulpBuilder| {
        let mut settings = Settings::default();
        settings.domain_enabled = true;
        builder.settings(settings)
    };
    let kit = Kit::built(Engine::Sqlite, describe).await.expect("SQLite is always there");
    let api = kit.pulp().api();
    let document = parsed(&get(&api, DOCUMENT).await);
    assert_eq!(document["info"]["x-pulp-domain-enabled"], true);
    assert_eq!(get(&api, "/pulp/api/v3/status/").await.status(), StatusCode::OK);
    assert_eq!(get(&api, "/pulp/default/api/v3/tasks/").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(get(&api, "/pulp/api/v3/tasks/").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_query_says_which_document() {
    let kit = kit().await;
    let api = kit.pulp().api();
    for (query, expected) in [
        ("?component=core", api.openapi(Some("core"), false, false)),
        ("?bindings", api.openapi(None, true, false)),
        // That it is there counts, not what it says.
        ("?component=core&pk_path=0&bindings=false&include_html=1", api.openapi(Some("core"), true, true)),
        ("?component=nope&component=core", api.openapi(Some("core"), false, false)),
    ] {
        let mut document = parsed(&get(&api, &format!("{DOCUMENT}{query}")).await);
        document["servers"] = json!([{"url": "/"}]);
        assert!(document == expected.expect("a document"), "{query}");
    }
    for (query, message) in [
        ("?component=nope", "Invalid component specified."),
        ("?component=", "Invalid component specified."),
        ("?component=core,nope", "Invalid component specified."),
        ("?plugin=core", "'plugin' has been removed. Use 'component' instead."),
    ] {
        let refused = get(&api, &format!("{DOCUMENT}{query}")).await;
        assert_eq!((refused.status(), parsed(&refused)), (StatusCode::BAD_REQUEST, json!({"detail": message})), "{query}");
    }
}

#[tokio::test]
async fn it_is_sent_compressed_and_only_when_it_has_changed() {
    let kit = kit().await;
    let api = kit.pulp().api();
    let plain = get(&api, DOCUMENT).await;
    let gzip = ask(&api, Method::GET, DOCUMENT, &[("accept-encoding", "br, gzip;q=0.5")]).await;
    assert_eq!(header(&gzip, "content-encoding"), "gzip");
    assert!(gzip.body().len() * 5 < plain.body().len());
    let mut unpacked = Vec::new();
    GzDecoder::new(gzip.body().as_slice()).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(&unpacked, plain.body());
    for refusing in ["gzip;q=0", "br"] {
        let sent = ask(&api, Method::GET, DOCUMENT, &[("accept-encoding", refusing)]).await;
        assert!(!sent.headers().contains_key("content-encoding"), "{refusing}");
    }
    let tag = header(&plain, "etag").to_owned();
    assert_ne!(tag, header(&gzip, "etag"));
    let again = ask(&api, Method::GET, DOCUMENT, &[("if-none-match", &format!("\"other\", W/{tag}"))]).await;
    assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(header(&again, "etag"), tag);
    let other = ask(&api, Method::GET, DOCUMENT, &[("if-none-match", "\"other\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
    // Another host, another document.
    let elsewhere = ask(&api, Method::GET, DOCUMENT, &[("x-forwarded-proto", "https"), ("if-none-match", &tag)]).await;
    assert_eq!(parsed(&elsewhere)["servers"][0]["url"], "https://pulp.example.org/");
}

#[tokio::test]
async fn the_page_needs_no_other_host() {
    let kit = kit().await;
    let api = kit.pulp().api();
    let page = get(&api, "/pulp/api/v3/docs/").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert!(header(&page, "content-security-policy").starts_with("default-src 'none'"));
    let text = String::from_utf8(page.body().clone()).expect("text");
    let mut named = 0;
    for attribute in ["href=\"", "src=\""] {
        for rest in text.split(attribute).skip(1) {
            let target = rest.split('"').next().expect("an attribute ends");
            assert!(!target.contains("//"), "{target} is elsewhere");
            let asset = get(&api, &format!("/pulp/api/v3/docs/{target}")).await;
            assert_eq!(asset.status(), StatusCode::OK, "{target}");
            named += 1;
        }
    }
    assert!(named >= 3);
    for asset in ["page.js", "page.css"] {
        let asset = get(&api, &format!("/pulp/api/v3/docs/{asset}")).await;
        assert!(!String::from_utf8_lossy(asset.body()).contains("http"), "another host is named");
    }
    let unknown = get(&api, "/pulp/api/v3/docs/page.html").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let tag = header(&page, "etag").to_owned();
    let again = ask(&api, Method::GET, "/pulp/api/v3/docs/", &[("if-none-match", &tag)]).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

/// What is known to be different, and stays so; `docs/reference/compatibility.md` tells why.
const KNOWN: &[&str] = &[
    // Columns that hold secrets, or that no table of ours has.
    "domains_list: parameters: query ordering: ",
    "repository_versions_list: parameters: query ordering: ",
    "file_file_versions_list: parameters: query ordering: ",
    "tasks_list: parameters: query ordering: ",
    "users_list: parameters: query ordering: ",
    // The day on which the document was made, less thirty.
    "component Purge: properties: finished_before: default: ",
    // No answer of Pulp has it.
    "component UploadResponse: properties: completed: ",
    "component UploadDetailResponse: properties: completed: ",
    // Schedules of users.
    "component TaskScheduleResponse: properties: created_by: ",
    "component TaskScheduleResponse: properties: cron: ",
    "component TaskScheduleResponse: properties: enabled: ",
    "component TaskScheduleResponse: properties: jitter: ",
    "component TaskScheduleResponse: properties: last_error: ",
    "component TaskScheduleResponse: properties: options: ",
    "component TaskScheduleResponse: properties: repository: ",
];

/// Fields that Pulp has not, of every type of distributions.
const OUR_FIELDS: &[&str] = &["time_travel", "cache_control", "redirect_to_object_storage"];

fn of_our_fields(line: &str) -> bool {
    let ours = |field: &&str| line.contains(&format!(": properties: {field}: is too much"));
    line.contains("Distribution") && OUR_FIELDS.iter().any(ours)
}

/// Parameters that Pulp has not, of every list of content.
fn of_our_parameters(line: &str) -> bool {
    let list = line.split(':').next().is_some_and(|id| id.starts_with("content_") && id.ends_with("_list"));
    list && ["query after: is too much", "query count: is too much"].iter().any(|ours| line.contains(ours))
}

/// Operations that Pulp has not, by how their ids begin.
const OURS: &[&str] = &[
    "audit_",
    "disk_usage_",
    "scrub_",
    "task_schedules_create",
    "task_schedules_delete",
    "task_schedules_partial_update",
    "task_schedules_update",
    "tasks_events",
    "tokens_",
    "webhooks_",
];

/// Likewise, by how their ids end.
const OURS_OF_MANY: &[&str] = &["_compose", "_dependents", "_versions_diff"];

/// The reference was made by a Pulp with more plugins, so it knows more types.
fn of_other_plugins(line: &str) -> bool {
    line.contains(": query pulp_type")
}

/// Compares with the documents of a real Pulp, if `PULP_REFERENCE_DIR` says where they lie.
#[tokio::test]
async fn the_document_is_that_of_a_real_pulp() {
    let Some(directory) = std::env::var_os("PULP_REFERENCE_DIR") else {
        println!("skipped: PULP_REFERENCE_DIR is not set");
        return;
    };
    let kit = kit().await;
    let api = kit.pulp().api();
    let mut differences = Vec::new();
    let labels = kit.pulp().registry().plugins().iter().map(|plugin| plugin.label);
    for component in labels.chain(["core"]) {
        let path = Path::new(&directory).join(format!("openapi-{component}.json"));
        let reference: Value = serde_json::from_slice(&std::fs::read(&path).expect("the reference can be read")).expect("it is JSON");
        let found = compare(&reference, &api.openapi(Some(component), false, false).expect("descriptions agree"));
        println!("{component} lacks {} operations: {}", found.lacking.len(), found.lacking.join(" "));
        let added = found
            .added
            .into_iter()
            .filter(|id| !OURS.iter().any(|ours| id.starts_with(ours)) && !OURS_OF_MANY.iter().any(|ours| id.ends_with(ours)));
        differences.extend(added.map(|id| format!("{component}: {id}: Pulp has no such operation")));
        let unknown = |line: &String| {
            !of_other_plugins(line) && !of_our_fields(line) && !of_our_parameters(line) && !KNOWN.iter().any(|known| line.contains(known))
        };
        differences.extend(found.differences.into_iter().filter(unknown).map(|line| format!("{component}: {line}")));
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
