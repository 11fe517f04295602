use std::collections::VecDeque;
use std::convert::Infallible;

use bytes::Bytes;
use futures::stream;

use super::*;
use crate::storage::SpoolOptions;

const FORM: &str = "--edge\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\r\n--edge\r\n\
    Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\r\n-\r\n--edg\r\n--edge--\r\n";

/// A body whose chunks come one at a time; before each, the one who asks is told to wait that many times.
fn late(chunks: Vec<(usize, Bytes)>) -> Body {
    let mut chunks: VecDeque<_> = chunks.into();
    Body::stream(stream::poll_fn(move |cx| match chunks.front_mut() {
        Some((0, _)) => Poll::Ready(chunks.pop_front().map(|(_, chunk)| Ok::<_, Infallible>(chunk))),
        Some((waits, _)) => {
            *waits -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        None => Poll::Ready(None),
    }))
}

async fn read_form(body: Body) -> (Json, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), SpoolOptions::default()).await.unwrap();
    let form = multipart(&spool, Limits { text: 100, file: 100 }, "multipart/form-data; boundary=edge", body).await;
    let mut form = form.unwrap_or_else(|error| panic!("{error:?}"));
    (form.values["a"].take(), std::fs::read(form.files["file"].path()).unwrap())
}

#[tokio::test]
async fn a_form_is_read_however_its_bytes_arrive() {
    let expected = (json!("b\r"), b"\r\n-\r\n--edg".to_vec());
    for waits in 0..3 {
        assert_eq!(read_form(late(vec![(waits, FORM.into())])).await, expected, "after {waits} waits");
        for at in 0..=FORM.len() {
            let (one, other) = FORM.split_at(at);
            for before in 0..2 {
                let chunks = vec![(waits, one.into()), (before, other.into())];
                assert_eq!(read_form(late(chunks)).await, expected, "cut at {at} after {waits} waits, then {before}");
            }
        }
    }
}

#[tokio::test]
async fn a_form_that_breaks_off_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), SpoolOptions::default()).await.unwrap();
    for at in 0..FORM.len() - "--\r\n".len() {
        let body = late(vec![(at % 3, FORM[..at].into())]);
        let read = multipart(&spool, Limits { text: 100, file: 100 }, "multipart/form-data; boundary=edge", body).await;
        assert_eq!(read.err().map(|error| error.status()), Some(StatusCode::BAD_REQUEST), "cut at {at}");
    }
}
