use std::io::Write as _;

use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::*;

fn file(len: usize) -> (Arc<OpenFile>, Vec<u8>) {
    let content: Vec<u8> = (0..len).map(|at| (at * 31 % 251) as u8).collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    (Arc::new(OpenFile::new(file, Some(len as u64))), content)
}

async fn pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, served) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (Socket::new(served.unwrap().0), client.unwrap())
}

#[tokio::test]
async fn heads_and_parts_of_files_come_in_order() {
    let (mut socket, mut client) = pair().await;
    let on_the_way = socket.on_the_way();
    let (file, content) = file(5_000_000);
    let mut expected = Vec::new();
    let mut pieces = Vec::new();
    for range in [0..5_000_000u64, 7..4_103, 4_999_999..5_000_000, 100..70_000] {
        let head = Bytes::from(format!("head of {range:?}\n"));
        expected.extend_from_slice(&head);
        expected.extend_from_slice(&content[range.start as usize..range.end as usize]);
        pieces.extend([head, on_the_way.bytes(&FilePart::new(file.clone(), range)).unwrap()]);
    }
    let sending = async {
        let mut all = pieces;
        while !all.is_empty() {
            let bufs: Vec<IoSlice<'_>> = all.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut sent = std::future::poll_fn(|cx| Pin::new(&mut socket).poll_write_vectored(cx, &bufs)).await.unwrap();
            while sent > 0 {
                let some = sent.min(all[0].len());
                let _ = all[0].split_to(some);
                sent -= some;
                if all[0].is_empty() {
                    all.remove(0);
                }
            }
        }
        socket.shutdown().await.unwrap();
    };
    let mut seen = Vec::new();
    let (_, read) = tokio::join!(sending, client.read_to_end(&mut seen));
    read.unwrap();
    assert!(seen == expected);
    assert!(on_the_way.files().is_empty(), "nothing is known of what was sent");
}

#[tokio::test]
async fn bytes_of_a_file_are_sent_from_the_file_and_others_are_not() {
    let on_the_way = OnTheWay::default();
    let (file, content) = file(20_000);
    let bytes = on_the_way.bytes(&FilePart::new(file.clone(), 5_000..20_000)).unwrap();
    assert_eq!(on_the_way.place(&bytes).unwrap().offset, 5_000);
    assert_eq!(on_the_way.place(&bytes[10..]).unwrap().offset, 5_010);
    assert!(on_the_way.place(&content).is_none());
    assert!(OnTheWay::default().place(&bytes).is_none(), "what another connection sends is nothing of this one");
    assert!(bytes == content[5_000..], "whoever reads them all the same finds the right ones");
    drop(bytes);
    assert!(on_the_way.files().is_empty());
}

#[tokio::test]
async fn a_file_that_was_cut_ends_the_connection() {
    let (mut socket, _client) = pair().await;
    let (file, _) = file(100_000);
    let bytes = socket.on_the_way().bytes(&FilePart::new(file.clone(), 50_000..100_000)).unwrap();
    rustix::fs::ftruncate(&**file.file(), 50_000).unwrap();
    let error = std::future::poll_fn(|cx| Pin::new(&mut socket).poll_write_vectored(cx, &[IoSlice::new(&bytes)])).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_file_of_unknown_length_is_read() {
    let (file, content) = file(600_000);
    let unknown = Arc::new(OpenFile::new(file.file().clone(), None));
    let on_the_way = OnTheWay::default();
    assert!(on_the_way.bytes(&FilePart::new(unknown.clone(), 0..10)).is_none());
    let body = Outgoing::new(Body::file(FilePart::new(unknown, 100..600_000)), Some(on_the_way), Handle::current(), None);
    assert!(body.collect().await.unwrap().to_bytes() == content[100..]);
}
