use std::convert::Infallible;
use std::sync::Mutex;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;

const HOT: &str = "GET /hot HTTP/1.1\r\nhost: x\r\n\r\n";
const COLD: &str = "GET /cold HTTP/1.1\r\nhost: x\r\n\r\n";

/// Has an answer for `/hot`, and notes how often it gave it.
#[derive(Clone, Default)]
struct Known(Arc<AtomicU64>);

impl Ready for Known {
    fn at_hand(&self, request: &mut Parts) -> Option<AtHand> {
        (request.uri.path() == "/hot").then(|| AtHand::new("content-length: 3\r\n".into(), "hot".into()))
    }

    fn given(&self, _: &Parts, _: &AtHand) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A body that tells when it was taken.
struct Body(Full<Bytes>, #[expect(dead_code, reason = "dropped with the body")] Turn);

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

struct Side {
    client: DuplexStream,
    at_hand: Arc<AtomicU64>,
    /// What hyper was asked, method, path and body.
    asked: Arc<Mutex<Vec<String>>>,
}

/// A connection through which so many bytes fit at a time. hyper answers whatever it is asked with the question, `/slow` after a while.
fn side(fits: usize, patience: Duration) -> Side {
    let (client, server) = tokio::io::duplex(fits);
    let (known, asked, turns) = (Known::default(), Arc::<Mutex<Vec<String>>>::default(), Arc::<Turns>::default());
    let side = Side { client, at_hand: Arc::clone(&known.0), asked: Arc::clone(&asked) };
    tokio::spawn(async move {
        let stream = Swift::new(server, known, Arc::clone(&turns), patience);
        let service = service_fn(move |request: Request<Incoming>| {
            let (turn, asked) = (Turn::begin(&turns), Arc::clone(&asked));
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let question = format!("{} {} {}", parts.method, parts.uri.path(), String::from_utf8_lossy(&body));
                if parts.uri.path() == "/slow" {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                asked.lock().unwrap().push(question.clone());
                Ok::<_, Infallible>(Response::new(Body(Full::from(question), turn)))
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    });
    side
}

impl Side {
    async fn say(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> String {
        hear(&mut self.client).await
    }

    fn at_hand(&self) -> u64 {
        self.at_hand.load(Ordering::Relaxed)
    }
}

/// The body of the next answer.
async fn hear(answers: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(answers.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\ndate: "), "{head}");
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    answers.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_is_at_hand_is_answered_before_and_after_what_is_not() {
    let mut side = side(1 << 16, LONG);
    for round in 1..=3 {
        for _ in 0..2 {
            side.say(HOT).await;
            assert_eq!(side.hear().await, "hot");
        }
        side.say(COLD).await;
        assert_eq!(side.hear().await, "GET /cold ");
        assert_eq!((side.at_hand(), side.asked.lock().unwrap().len()), (2 * round, usize::try_from(round).unwrap()));
    }
}

#[tokio::test]
async fn answers_keep_the_order_of_requests_that_do_not_wait_for_them() {
    for fits in [7, 1 << 16] {
        let mut side = side(fits, LONG);
        let (mut hears, mut says) = tokio::io::split(std::mem::replace(&mut side.client, tokio::io::duplex(1).0));
        let text = [HOT.repeat(100), COLD.to_owned(), HOT.to_owned(), COLD.to_owned(), HOT.to_owned()].concat();
        let said = tokio::spawn(async move { says.write_all(text.as_bytes()).await.unwrap() });
        for _ in 0..100 {
            assert_eq!(hear(&mut hears).await, "hot");
        }
        // Once a request did not wait for hyper's answer, all is left to hyper.
        for body in ["GET /cold ", "GET /hot ", "GET /cold ", "GET /hot "] {
            assert_eq!(hear(&mut hears).await, body);
        }
        said.await.unwrap();
        assert_eq!(side.at_hand(), 100);
    }
}

#[tokio::test]
async fn a_body_is_no_request() {
    let mut side = side(1 << 16, LONG);
    side.say(&format!("POST /put HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{HOT}", HOT.len())).await;
    assert_eq!(side.hear().await, format!("POST /put {HOT}"));
    side.say(HOT).await;
    // All that comes after a body is hyper's.
    assert_eq!(side.hear().await, "GET /hot ");
    assert_eq!(side.at_hand(), 0);
}

#[tokio::test]
async fn a_head_may_come_in_pieces_and_an_answer_leave_in_some() {
    let mut side = side(5, LONG);
    for _ in 0..3 {
        for text in [HOT, COLD] {
            for byte in text.as_bytes() {
                side.client.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            assert_eq!(side.hear().await, if text == HOT { "hot" } else { "GET /cold " });
        }
    }
    assert_eq!((side.at_hand(), side.asked.lock().unwrap().len()), (3, 3));
}

#[tokio::test]
async fn what_is_no_request_and_a_head_that_is_too_long_are_for_hyper_to_answer() {
    for text in ["nonsense\r\n\r\n".to_owned(), format!("GET /hot HTTP/1.1\r\nx: {}\r\n", "y".repeat(1 << 20))] {
        let mut side = side(1 << 16, LONG);
        let _ = side.client.write_all(text.as_bytes()).await;
        let mut answer = String::new();
        let _ = side.client.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert_eq!(side.at_hand(), 0);
    }
}

#[tokio::test]
async fn who_says_nothing_for_too_long_is_hung_up_on() {
    let patience = Duration::from_millis(200);
    for (said, answers) in
        [("", 0), ("GET /ho", 0), (HOT, 1), (COLD, 1), ("POST /put HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx", 1)]
    {
        let mut side = side(1 << 16, patience);
        let began = Instant::now();
        side.say(said).await;
        for _ in 0..answers {
            side.hear().await;
        }
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(5), side.client.read_to_end(&mut rest));
        let _ = end.await.unwrap_or_else(|_| panic!("not hung up on: {said:?}"));
        assert!(rest.is_empty() && began.elapsed() >= patience, "{said}");
    }
}

#[tokio::test]
async fn who_waits_for_an_answer_may_wait() {
    let mut side = side(1 << 16, Duration::from_millis(200));
    for _ in 0..3 {
        side.say("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(side.hear().await, "GET /slow ");
        tokio::time::sleep(Duration::from_millis(50)).await;
        side.say(HOT).await;
        assert_eq!(side.hear().await, "hot");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(side.at_hand(), 3);
}

#[tokio::test]
async fn the_end_of_what_a_client_says_is_the_end() {
    for said in ["", HOT, "GET /ho"] {
        let mut side = side(1 << 16, LONG);
        side.say(said).await;
        side.client.shutdown().await.unwrap();
        let mut all = String::new();
        let _ = side.client.read_to_string(&mut all).await;
        assert_eq!(all.ends_with("hot"), said == HOT, "{all}");
    }
}
