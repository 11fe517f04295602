//! The caching mirror of the examples does what it says, in no more lines than it promises.

use pulp_testkit::{Client, Upstream};

#[allow(dead_code)]
#[path = "../examples/caching_mirror.rs"]
mod caching_mirror;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_fetches_each_file_once() {
    let upstream = Upstream::start().await.file("a b.iso", "the file").file("other.iso", "another").manifest();
    let data = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(format!("http://{}", listener.local_addr().unwrap()));
    let manifest = upstream.url("PULP_MANIFEST");
    let asked = async {
        assert!(client.try_get("/").await.text().contains("own page"));
        for _ in 0..3 {
            let file = client.try_get("/pulp/content/isos/a%20b.iso").await;
            assert_eq!((file.status.as_u16(), file.text().as_str()), (200, "the file"));
        }
        assert_eq!(client.try_get("/pulp/content/isos/none").await.status, 404);
    };
    tokio::select! {
        served = caching_mirror::serve(&manifest, data.path().to_str().unwrap(), listener) => panic!("it ended: {served:?}"),
        () = asked => {}
    }
    assert_eq!((upstream.hits("a b.iso"), upstream.hits("other.iso")), (1, 0));
}

#[test]
fn the_example_is_short() {
    assert!(include_str!("../examples/caching_mirror.rs").lines().count() <= 40);
}
