use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use super::*;

// The example of the Fernet specification (generate.json).
const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
const TOKEN: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
const TIME: u64 = 499_162_800;

fn key() -> FernetKey {
    KEY.parse().unwrap()
}

fn fernet() -> Fernet {
    Fernet::new(vec![key()]).unwrap()
}

#[test]
fn the_example_of_the_specification_goes_both_ways() {
    let iv = std::array::from_fn(|i| i as u8);
    assert_eq!(seal(&key(), b"hello", TIME, &iv), TOKEN);
    assert_eq!(fernet().decrypt_text(TOKEN).unwrap().expose(), "hello");
    assert_eq!(fernet().open(TOKEN).unwrap().0, TIME);
}

#[test]
fn any_length_comes_back() {
    for length in [0, 1, 15, 16, 17, 100_000] {
        let plain = vec![0xff; length];
        let token = fernet().encrypt(&plain).unwrap();
        assert_eq!(fernet().decrypt(&token).unwrap().expose(), &plain);
    }
    assert_ne!(fernet().encrypt("x").unwrap(), fernet().encrypt("x").unwrap(), "the vector is random");
    let token = fernet().encrypt([0xff]).unwrap();
    assert!(matches!(fernet().decrypt_text(&token), Err(FernetError::NotText)));
}

#[test]
fn every_change_of_a_byte_is_noticed() {
    let token = URL_SAFE.decode(TOKEN).unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone();
        changed[at] ^= 1;
        assert!(fernet().decrypt(&URL_SAFE.encode(changed)).is_err(), "byte {at}");
    }
    for length in 0..token.len() {
        assert!(fernet().decrypt(&URL_SAFE.encode(&token[..length])).is_err(), "cut to {length}");
    }
    for text in ["", "hunter2", "%%%%", &TOKEN[1..]] {
        let error = fernet().decrypt(text).unwrap_err();
        assert!(matches!(error, FernetError::Invalid));
        assert!(!error.to_string().contains("hunter2"));
    }
}

/// With a right signature, so that what follows it is looked at.
#[test]
fn signed_nonsense_is_refused() {
    let sign = |mut bytes: Vec<u8>| {
        let tag = mac(&key(), &bytes).finalize().into_bytes();
        bytes.extend(tag);
        URL_SAFE.encode(bytes)
    };
    let good = URL_SAFE.decode(TOKEN).unwrap();
    let signed = good[..good.len() - MAC].to_vec();
    assert_eq!(sign(signed.clone()), TOKEN);
    let mut version = signed.clone();
    version[0] = 0x81;
    let mut padding = signed.clone();
    padding[HEADER - 1] ^= 0x55;
    for (bad, why) in [
        (version, "version"),
        (padding, "padding"),
        (signed[..signed.len() - 1].to_vec(), "part of a block"),
        (signed[..HEADER].to_vec(), "no block"),
        (signed[..HEADER - 1].to_vec(), "no vector"),
        (Vec::new(), "nothing"),
    ] {
        assert!(fernet().decrypt(&sign(bad)).is_err(), "{why}");
    }
}

#[test]
fn all_keys_decrypt_and_the_first_encrypts() {
    let new = FernetKey::generate().unwrap();
    let both = Fernet::new(vec![new.clone(), key()]).unwrap();
    let only_new = Fernet::new(vec![new]).unwrap();
    assert_eq!(both.decrypt_text(TOKEN).unwrap().expose(), "hello");
    assert!(only_new.decrypt(TOKEN).is_err());
    let rotated = both.rotate(TOKEN).unwrap();
    let (time, plain) = only_new.open(&rotated).unwrap();
    assert_eq!((time, plain.as_slice()), (TIME, &b"hello"[..]));
    assert!(fernet().decrypt(&rotated).is_err());
    assert!(both.is_current(&rotated) && !both.is_current(TOKEN) && fernet().is_current(TOKEN) && !both.is_current("hello"));
}

#[test]
fn key_texts_of_both_alphabets_are_read_and_others_refused() {
    let standard = KEY.replace('-', "+").replace('_', "/");
    for text in [KEY, &standard, KEY.trim_end_matches('='), &format!(" {KEY}\r")] {
        assert_eq!(text.parse::<FernetKey>().unwrap(), key());
    }
    assert_eq!(key().to_text().expose(), KEY);
    assert!(!format!("{:?}", fernet()).contains(&KEY[..8]));
    let text = format!("\n{KEY}\n\nnot a key\n");
    let error = Fernet::from_lines(&text).unwrap_err();
    assert!(matches!(error, FernetError::BadKey { line: 4 }));
    assert!(!error.to_string().contains("not a key\n"));
    assert!(matches!(Fernet::from_lines("\n \n"), Err(FernetError::NoKey)));
}

#[test]
fn a_missing_key_file_is_made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("database_fields.symmetric.key");
    assert!(matches!(Fernet::load(&path), Err(FernetError::File { action: "read", .. })));
    // All of them at once: each must end with the same key.
    let tokens: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| Fernet::load_or_create(&path).unwrap().encrypt("x").unwrap())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let loaded = Fernet::load(&path).unwrap();
    for token in tokens {
        assert_eq!(loaded.decrypt_text(&token).unwrap().expose(), "x");
    }
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no drafts stay");
    let missing = dir.path().join("missing/key");
    assert!(matches!(Fernet::load_or_create(&missing), Err(FernetError::File { action: "written", .. })));
}

/// Skipped where Python or its `cryptography` is not there.
#[test]
fn python_reads_our_tokens_and_we_read_its() {
    const SCRIPT: &str = "
import sys
from cryptography.fernet import Fernet
key, token = sys.stdin.read().split()
fernet = Fernet(key)
assert fernet.decrypt(token) == 'h\u{e9}llo'.encode()
print(fernet.encrypt(b'from python').decode())
";
    let present = Command::new("python3").args(["-c", "import cryptography.fernet"]).stderr(Stdio::null()).status();
    if !present.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no python3 with cryptography");
        return;
    }
    let mut python = Command::new("python3").args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let token = fernet().encrypt("h\u{e9}llo").unwrap();
    python.stdin.take().unwrap().write_all(format!("{KEY} {token}").as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let answer = String::from_utf8(output.stdout).unwrap();
    assert_eq!(fernet().decrypt_text(&answer).unwrap().expose(), "from python");
}
