//! A small HTTP/1.1 server: it answers what a closure says and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As sent, without `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter; the tests use none that has to be decoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The content of the field `file` of a form.
    pub fn file(&self) -> Vec<u8> {
        let boundary = self.header("content-type").unwrap().split("boundary=").nth(1).unwrap();
        let text = String::from_utf8_lossy(&self.body);
        assert!(text.contains("name=\"file\""), "{text}");
        let start = find(&self.body, b"name=\"file\"");
        let start = start + find(&self.body[start..], b"\r\n\r\n") + 4;
        let end = start + find(&self.body[start..], format!("\r\n--{boundary}").as_bytes());
        self.body[start..end].to_vec()
    }

    /// "GET /pulp/api/v3/tasks/"
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn find(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).position(|window| window == part).unwrap()
}

/// What to answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a JSON body.
    Json(u16, Value),
    /// A status, further header lines, and a body.
    Raw(u16, Vec<String>, String),
    /// An answer that promises more than it gives, then the end of the connection.
    Cut,
    /// The end of the connection, without an answer.
    Hangup,
}

impl Answer {
    pub fn ok(value: Value) -> Self {
        Self::Json(200, value)
    }

    /// A started task.
    pub fn task(href: &str) -> Self {
        Self::Json(202, json!({ "task": href }))
    }

    /// A page of a list.
    pub fn list(entries: Vec<Value>) -> Self {
        Self::ok(json!({ "count": entries.len(), "next": null, "previous": null, "results": entries }))
    }

    pub fn not_found() -> Self {
        Self::Json(404, json!({ "detail": "Not found." }))
    }
}

/// The id of the resources of [`Server::with_one_of_each`].
pub const ID: &str = "01a202c1-dedb-737b-8c9f-717ea89b188a";

pub struct Server {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server on a free port of the loopback. It lives until the process ends.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Self { address, seen }
    }

    /// A server whose every collection has one resource, with the id [`ID`] and the name `one`, and which lets everything
    /// happen: it answers a call of an action as `action` says, if it says something.
    pub fn with_one_of_each(action: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::start(move |request: &Request| {
            let last = request.path.trim_end_matches('/').rsplit('/').next().unwrap();
            match request.method.as_str() {
                "GET" if last == ID => Answer::ok(json!({ "pulp_href": request.path, "name": "one", "paths": ["a", "b"] })),
                "GET" => Answer::list(vec![json!({ "pulp_href": format!("{}{ID}/", request.path), "name": "one", "paths": ["a", "b"] })]),
                "DELETE" => Answer::Raw(204, vec![], String::new()),
                _ => action(last).unwrap_or(Answer::Json(201, json!({ "pulp_href": "/made/" }))),
            }
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that was asked so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// The request lines of all that was asked so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Request::line).collect()
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Request) -> Answer, log: &Mutex<Vec<Request>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        // Logged first: a test may look as soon as the client has its answer.
        log.lock().unwrap().push(request.clone());
        let (status, headers, body) = match answer(&request) {
            Answer::Json(status, value) => (status, vec!["Content-Type: application/json".to_owned()], value.to_string()),
            Answer::Raw(status, headers, body) => (status, headers, body),
            Answer::Cut => {
                let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":");
                return;
            }
            Answer::Hangup => return,
        };
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, path: path.to_owned(), query: query.to_owned(), headers, body: Vec::new() };
    assert_eq!(request.header("transfer-encoding"), None, "bodies come with their length");
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
