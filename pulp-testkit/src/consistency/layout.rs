//! What each file of a data directory is, by its path.

/// A file, by its path in the data directory; that of the artifacts counts as its `media`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The database, keys, locks: there as long as the server is used.
    Own,
    /// An artifact, by its path in the storage.
    Artifact(String),
    /// A chunk of an upload, by its path in the storage.
    Chunk(String),
    /// Held by a process as long as it lives, in an area of the spool.
    Held,
    /// On its way in, in an area of the spool.
    Spooled,
    /// The beginning of a large file.
    Beginning,
    /// What the scrub has set aside.
    SetAside,
    /// What `pulp-server check` tries the storage with.
    Probe,
    /// None of ours.
    Unknown,
}

fn hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text)
}

/// The digest that the file should have had, and an id.
fn is_set_aside(name: &str) -> bool {
    name.split_once('.').is_some_and(|(digest, id)| hex(digest, 64) && hex(id, 32))
}

pub(super) fn kind(path: &str) -> Kind {
    let parts: Vec<&str> = path.split('/').collect();
    let own = ["pulp.sqlite3", "pulp.sqlite3-wal", "pulp.sqlite3-shm", "pulp.lock", "database_fields.symmetric.key", "admin-password"];
    match parts.as_slice() {
        [name] if own.contains(name) => Kind::Own,
        ["media", "artifact", shard, rest] if hex(shard, 2) && hex(rest, 62) => Kind::Artifact(parts[1..].join("/")),
        ["media", "artifact", domain, shard, rest] if uuid(domain) && hex(shard, 2) && hex(rest, 62) => {
            Kind::Artifact(parts[1..].join("/"))
        }
        ["media", "upload", upload, chunk] if uuid(upload) && uuid(chunk) => Kind::Chunk(parts[1..].join("/")),
        ["media", "quarantine", name] if is_set_aside(name) => Kind::SetAside,
        ["media", "check", digest] if hex(digest, 64) => Kind::Probe,
        ["media", ".spool" | ".incoming", rest @ ..] | ["spool", rest @ ..] => spool(rest),
        _ => Kind::Unknown,
    }
}

fn spool(path: &[&str]) -> Kind {
    let area = |name: &str| name.strip_prefix("area-").is_some_and(|id| hex(id, 32));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let key = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match path {
        ["lock"] => Kind::Own,
        [name, "held"] if area(name) => Kind::Held,
        [name, directory, file] if area(name) && number(directory) => match file.split_once('.') {
            None if number(file) => Kind::Spooled,
            Some((file, of)) if number(file) && key(of) => Kind::Spooled,
            _ => Kind::Unknown,
        },
        ["partial", of] if key(of) => Kind::Beginning,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_known_by_its_path() {
        let (rest, digest) = ("0".repeat(62), "0".repeat(64));
        let (id, area) = ("00000000-0000-0000-0000-000000000000", format!("area-{}", "1".repeat(32)));
        let artifact = format!("artifact/ab/{rest}");
        let of_domain = format!("artifact/{id}/ab/{rest}");
        for (path, wanted) in [
            ("pulp.sqlite3-wal".to_owned(), Kind::Own),
            ("media/pulp.sqlite3".to_owned(), Kind::Unknown),
            (format!("media/{artifact}"), Kind::Artifact(artifact.clone())),
            (format!("media/{of_domain}"), Kind::Artifact(of_domain.clone())),
            (artifact.clone(), Kind::Unknown),
            (format!("media/artifact/AB/{rest}"), Kind::Unknown),
            (format!("media/artifact/ab/{digest}"), Kind::Unknown),
            (format!("media/upload/{id}/{id}"), Kind::Chunk(format!("upload/{id}/{id}"))),
            (format!("media/upload/{id}"), Kind::Unknown),
            ("media/.spool/lock".to_owned(), Kind::Own),
            (format!("media/.spool/{area}/held"), Kind::Held),
            (format!("spool/{area}/held"), Kind::Held),
            (format!("media/.incoming/{area}/3/19"), Kind::Spooled),
            (format!("media/.spool/{area}/3/19.0-sha256-{digest}"), Kind::Spooled),
            (format!("media/.spool/{area}/3/x"), Kind::Unknown),
            (format!("media/.spool/{area}/3/19."), Kind::Unknown),
            (format!("media/.spool/partial/0-sha256-{digest}"), Kind::Beginning),
            (format!("media/check/{digest}"), Kind::Probe),
            (format!("media/quarantine/{digest}.{}", "1".repeat(32)), Kind::SetAside),
            (format!("media/quarantine/{digest}"), Kind::Unknown),
            ("core.17".to_owned(), Kind::Unknown),
        ] {
            assert_eq!(kind(&path), wanted, "{path}");
        }
    }
}
