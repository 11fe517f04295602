//! Forms: what is put in comes out again, and what is no form is refused.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use pulp_core::body::Body;
use pulp_core::fuzzing;
use pulp_core::storage::{Spool, SpoolOptions};
use pulp_fuzz::wait;
use serde_json::{Map, Value as Json, json};
use tokio::io::AsyncReadExt as _;

const BOUNDARY: &str = "b0undary";
const MOST_TEXT: usize = 256;
const MOST_FILE: u64 = 512;

static SPOOL: LazyLock<Spool> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join("pulp-fuzz-spool");
    wait(Spool::open(directory, SpoolOptions::default())).unwrap()
});

#[derive(Debug, Arbitrary)]
enum Form {
    Raw(Vec<u8>),
    Made(Vec<(u8, Part)>, u8),
}

#[derive(Debug, Arbitrary)]
enum Part {
    Value(String),
    File(Vec<u8>),
}

libfuzzer_sys::fuzz_target!(|form: Form| {
    match form {
        Form::Raw(raw) => drop(read(vec![Bytes::from(raw)])),
        Form::Made(parts, cut) => made(&parts, usize::from(cut)),
    }
});

fn read(chunks: Vec<Bytes>) -> Result<(Map<String, Json>, BTreeMap<String, Vec<u8>>), u16> {
    let body = Body::stream(futures::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)));
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    // It waits, too, when it is made.
    let spool = &*SPOOL;
    wait(async {
        let (values, files) = fuzzing::multipart(spool, (MOST_TEXT, MOST_FILE), &content_type, body).await?;
        let mut contents = BTreeMap::new();
        for (name, file) in files {
            let mut bytes = Vec::new();
            tokio::fs::File::from(file.open().await.unwrap()).read_to_end(&mut bytes).await.unwrap();
            assert_eq!(bytes.len() as u64, file.size());
            contents.insert(name, bytes);
        }
        Ok((values, contents))
    })
}

fn made(parts: &[(u8, Part)], cut: usize) {
    let mut body = Vec::new();
    let (mut values, mut files): (BTreeMap<String, Vec<&str>>, BTreeMap<String, Vec<u8>>) = Default::default();
    let (mut text, mut largest) = (0, 0);
    for (name, part) in parts {
        let name = format!("n{}", name % 8);
        let (head, content) = match part {
            Part::Value(value) => {
                text += value.len();
                values.entry(name.clone()).or_default().push(value);
                (String::new(), value.as_bytes())
            }
            Part::File(bytes) => {
                largest = largest.max(bytes.len() as u64);
                files.insert(name.clone(), bytes.clone());
                ("; filename=\"f\"".to_owned(), bytes.as_slice())
            }
        };
        // A boundary in a part would end it, as it should.
        if content.windows(BOUNDARY.len()).any(|window| window == BOUNDARY.as_bytes()) {
            return;
        }
        body.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let (before, after) = body.split_at(body.len() * cut / 255);
    let read = read(vec![Bytes::copy_from_slice(before), Bytes::copy_from_slice(after)]);
    if text > MOST_TEXT || largest > MOST_FILE {
        assert_eq!(read, Err(413));
        return;
    }
    let values: Map<String, Json> =
        values.into_iter().map(|(name, all)| if let [only] = all[..] { (name, json!(only)) } else { (name, json!(all)) }).collect();
    assert_eq!(read, Ok((values, files)));
}
