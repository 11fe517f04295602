//! Server-sent events: what happens to something, told as it happens.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, StatusCode};

use super::{Body, Client, causes, read, refusal};
use crate::error::{Error, Result};
use crate::operation::operation_id;

/// The server says every quarter of a minute that it is there.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// The most bytes of one event.
const EVENT_LIMIT: usize = 64 << 20;

const EVENT_STREAM: &str = "text/event-stream";

/// An event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where to go on after it, if it says so.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: String,
}

/// The events of one connection.
#[derive(Debug)]
pub(crate) struct Events {
    response: reqwest::Response,
    parser: Parser,
    operation: String,
    url: String,
}

impl Client {
    /// The events of a path, after the one of this id. Nothing if the server has no events there, or none are left.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub(crate) async fn events(&self, path: &str, after: Option<&str>) -> Result<Option<Events>> {
        let url = self.url(path)?;
        let operation = operation_id(&Method::GET, url.path().strip_prefix(self.api()).unwrap_or(url.path()));
        let origin = self.shared.origin.to_string();
        let broken = |reason: String| Error::Transport { operation: operation.clone(), url: origin.clone(), reason };
        let mut request = self.request(&Method::GET, url, Body::Empty, true).header(ACCEPT, EVENT_STREAM);
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let sent = tokio::time::timeout(SILENCE_LIMIT, request.send()).await.map_err(|_| broken("no answer in time".to_owned()))?;
        let mut response = sent.map_err(|error| broken(causes(&error)))?;
        let status = response.status();
        let streams = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(EVENT_STREAM.as_bytes()));
        match status {
            StatusCode::OK if streams => Ok(Some(Events { response, parser: Parser::default(), operation, url: origin })),
            // A Pulp that has no events may take the path for another, or think that nobody can read its answer.
            StatusCode::OK
            | StatusCode::NO_CONTENT
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE => Ok(None),
            _ => {
                let bytes = read(&mut response).await.map_err(broken)?;
                Err(refusal::refusal(&operation, status, &bytes))
            }
        }
    }
}

impl Events {
    /// The next event; nothing when the stream has ended.
    ///
    /// # Errors
    /// When the connection breaks, or the server is silent for too long.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            let broken = |reason: String| Error::Transport { operation: self.operation.clone(), url: self.url.clone(), reason };
            let chunk = tokio::time::timeout(SILENCE_LIMIT, self.response.chunk()).await;
            match chunk.map_err(|_| broken("the answer stalled".to_owned()))?.map_err(|error| broken(causes(&error)))? {
                Some(chunk) if self.parser.rest.len() + chunk.len() > EVENT_LIMIT => {
                    return Err(broken(format!("an event is larger than {EVENT_LIMIT} bytes")));
                }
                Some(chunk) => self.parser.rest.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// What has come and was not told yet, and the event that is not complete.
#[derive(Debug, Default)]
struct Parser {
    rest: Vec<u8>,
    begun: Event,
}

impl Parser {
    /// The next event that is complete.
    fn next(&mut self) -> Option<Event> {
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                let event = std::mem::take(&mut self.begun);
                if event != Event::default() && !event.data.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.begun.id = Some(value.to_owned()),
                "event" => value.clone_into(&mut self.begun.name),
                "data" => {
                    if !self.begun.data.is_empty() {
                        self.begun.data.push('\n');
                    }
                    self.begun.data.push_str(value);
                }
                // A comment, the time after which to try again, and what is not known.
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_pieces() {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for byte in b"retry: 5\n\n: hello\n\nid: 7\nevent: progress\ndata: {\"a\":1}\n\nevent:end\r\ndata:x\r\ndata: y\r\n\r\ndata: cut" {
            parser.rest.push(*byte);
            events.extend(parser.next());
        }
        let event =
            |id: Option<&str>, name: &str, data: &str| Event { id: id.map(str::to_owned), name: name.to_owned(), data: data.to_owned() };
        assert_eq!(events, [event(Some("7"), "progress", "{\"a\":1}"), event(None, "end", "x\ny")]);
    }
}
