//! The typed client against a server that runs already: PULP_BASE_URL, PULP_USER and PULP_PASSWORD say which.

use pulp_testkit::{Client, Fault, Upstream};
use serde_json::json;

fn client() -> Client {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    Client::new(of("PULP_BASE_URL")).basic_auth(&of("PULP_USER"), &of("PULP_PASSWORD"))
}

#[tokio::test]
#[ignore = "needs a running server"]
async fn a_world_in_one_expression() {
    let client = client();
    let name = format!("testkit-{}", uuid::Uuid::new_v4().simple());
    let upstream = Upstream::start().await.file("a b.txt", "hello").generate(3, 100, 1).manifest();
    let world = client.file_repo(&name).remote(&upstream).policy("on_demand").sync().publish().distribute().await;
    assert!(world.version.ends_with("/versions/1/"), "{}", world.version);
    assert_eq!((upstream.hits("PULP_MANIFEST"), upstream.hits("a b.txt")), (1, 0));
    let got = client.try_get(&world.path("a b.txt")).await;
    assert_eq!(got.status, 200);
    assert_eq!((got.text().as_str(), upstream.hits("a b.txt")), ("hello", 1));

    let again = client.post("repositories/file/file/", json!({"name": name})).await.with(400);
    assert!(again["name"].is_array(), "{again}");
    client.try_get("repositories/file/file/00000000-0000-0000-0000-000000000000/").await.with(404);

    upstream.plan("PULP_MANIFEST", Fault::Status(404));
    let sync = client.post(&format!("{}sync/", world.href()), json!({})).await;
    let why = client.failure(sync).await;
    assert!(why.contains("404"), "{why}");

    let answer = client.post_form("content/file/files/", &[("relative_path", "own")], Some(b"own bytes")).await;
    let task = client.wait(answer).await;
    let content = client.get(&pulp_testkit::created(&task, "content")).await;
    assert_eq!(content["relative_path"], "own");
    let upload = client.create("uploads/", json!({"size": 6})).await;
    let href = upload["pulp_href"].as_str().unwrap();
    client.put_chunk(href, 3, 6, b"def").await.ok();
    client.put_chunk(href, 0, 6, b"abc").await.ok();
    let sha256 = pulp_testkit::Blob::from("abcdef").sha256();
    let known = client.list(&format!("artifacts/?sha256={sha256}")).await;
    let answer = client.post(&format!("{href}commit/"), json!({"sha256": sha256})).await;
    if known.is_empty() {
        client.wait(answer).await;
    }
    assert_eq!(client.list(&format!("artifacts/?sha256={sha256}")).await.len(), 1);
    for part in [world.distribution, world.remote, Some(world.repository)].into_iter().flatten() {
        let answer = client.delete(part["pulp_href"].as_str().unwrap()).await;
        client.wait(answer).await;
    }
}
