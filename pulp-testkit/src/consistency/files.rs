//! Files and the rows that name them.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, Metadata, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::digest::{Algorithm, Hasher};
use pulp_core::model::{Artifact, UploadChunk};
use uuid::Uuid;

use super::layout::{Kind, kind};
use super::{Checker, Findings};

/// Rows that are read at a time.
const PAGE: i64 = 1_000;

/// For how long beginnings of files are kept, and somewhat more: the next sweep removes them.
const BEGINNINGS: Duration = Duration::from_secs(26 * 60 * 60);

/// A file that was found.
struct Found {
    path: PathBuf,
    kind: Kind,
    about: Metadata,
}

pub(super) async fn check(checker: &Checker, findings: &mut Findings) {
    // The files first: what comes in meanwhile has a row by then, or is young.
    let files = walk(checker, findings);
    let elsewhere: HashSet<Uuid> = checker
        .db
        .column::<Uuid>("select pulp_id from core_domain where name <> 'default' and cast(storage_settings as text) <> '{}'")
        .await
        .expect("domains")
        .into_iter()
        .collect();
    let mut named = artifacts(checker, &elsewhere, findings).await;
    named.extend(chunks(checker, findings).await);
    for file in &files {
        unnamed(checker, file, &named, findings);
    }
}

/// Every row of an artifact has its file, which is what the row says. The files that rows name.
async fn artifacts(checker: &Checker, elsewhere: &HashSet<Uuid>, findings: &mut Findings) -> HashSet<String> {
    let mut named = HashSet::new();
    let mut after = Uuid::nil();
    loop {
        let page = Sql::new("select * from core_artifact where pulp_id > $1 order by pulp_id limit $2").bind(after).bind(PAGE);
        let page: Vec<Artifact> = checker.db.all(page).await.expect("artifacts");
        let Some(last) = page.last() else { return named };
        after = last.pulp_id;
        for artifact in page {
            named.insert(artifact.file.clone());
            if !elsewhere.contains(&artifact.pulp_domain_id) {
                stored(checker, &artifact, findings);
            }
        }
    }
}

fn stored(checker: &Checker, artifact: &Artifact, findings: &mut Findings) {
    let what = format!("core_artifact {}: {}", artifact.pulp_id, artifact.file);
    let place = |domains| artifact.sha256.parse().map(|sha256| Artifact::place(&sha256, artifact.pulp_domain_id, domains).to_string());
    if ![false, true].into_iter().any(|domains| place(domains).is_ok_and(|place| place == artifact.file)) {
        findings.add("an artifact lies in the wrong place", &what);
    }
    let rows = [
        (Algorithm::Md5, &artifact.md5),
        (Algorithm::Sha1, &artifact.sha1),
        (Algorithm::Sha224, &artifact.sha224),
        (Algorithm::Sha256, &Some(artifact.sha256.clone())),
        (Algorithm::Sha384, &artifact.sha384),
        (Algorithm::Sha512, &artifact.sha512),
    ];
    let rows: Vec<(Algorithm, String)> = rows.into_iter().filter_map(|(algorithm, digest)| Some((algorithm, digest.clone()?))).collect();
    let algorithms: Vec<Algorithm> = rows.iter().map(|(algorithm, _)| *algorithm).collect();
    let path = checker.media.join(&artifact.file);
    match fs::metadata(&path) {
        Ok(about) if about.is_file() => {
            if i64::try_from(about.len()) != Ok(artifact.size) {
                findings.add("a file has another size than its row says", format!("{what} ({} instead of {})", about.len(), artifact.size));
            }
        }
        _ => return findings.add("a row has no file", &what),
    }
    let mut hasher = Hasher::new(&algorithms);
    let mut file = File::open(&path).expect("a stored file");
    let mut block = vec![0; 1 << 20];
    loop {
        let read = std::io::Read::read(&mut file, &mut block).expect("a stored file");
        if read == 0 {
            break;
        }
        hasher.update(&block[..read]);
    }
    let (digests, _) = hasher.finish();
    for (algorithm, digest) in rows {
        if digests.get(algorithm) != Some(digest.as_str()) {
            findings.add("a file has another digest than its row says", format!("{what} ({algorithm})"));
        }
    }
}

/// The same of chunks of uploads, and of temporary files.
async fn chunks(checker: &Checker, findings: &mut Findings) -> HashSet<String> {
    let mut named = HashSet::new();
    for chunk in checker.db.all::<UploadChunk>("select * from core_uploadchunk").await.expect("chunks") {
        let what = format!("core_uploadchunk {}: {}", chunk.pulp_id, chunk.file);
        match fs::metadata(checker.media.join(&chunk.file)) {
            Ok(about) if i64::try_from(about.len()) == Ok(chunk.size) => {}
            Ok(about) => {
                findings.add("a file has another size than its row says", format!("{what} ({} instead of {})", about.len(), chunk.size));
            }
            Err(_) => findings.add("a row has no file", what),
        }
        named.insert(chunk.file);
    }
    for (row, file) in checker.db.all::<(Uuid, String)>("select pulp_id, file from core_pulptemporaryfile").await.expect("temporary files")
    {
        if !checker.media.join(&file).is_file() {
            findings.add("a row has no file", format!("core_pulptemporaryfile {row}: {file}"));
        }
        named.insert(file);
    }
    named
}

/// A file that no row names is young, or of a kind that needs none.
fn unnamed(checker: &Checker, file: &Found, named: &HashSet<String>, findings: &mut Findings) {
    let age = file.about.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
    let (old, what) = (age >= checker.forgiven, file.path.display().to_string());
    match &file.kind {
        Kind::Own | Kind::SetAside => {}
        Kind::Artifact(path) | Kind::Chunk(path) => {
            if old && !named.contains(path) {
                findings.add("a file has no row", what);
            }
        }
        Kind::Held => match File::open(&file.path).map(|held| held.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => {}
            _ if old => findings.add("a process that is gone has left its area of the spool", what),
            _ => {}
        },
        Kind::Spooled if old => findings.add("a file was left in the spool", what),
        Kind::Beginning if age > BEGINNINGS.max(checker.forgiven) => findings.add("the beginning of a file was left in the spool", what),
        Kind::Probe if old => findings.add("a file of a check was left", what),
        Kind::Spooled | Kind::Beginning | Kind::Probe => {}
        Kind::Unknown => {
            let temporary = file.path.strip_prefix(&checker.media).ok().and_then(Path::to_str);
            if !temporary.is_some_and(|path| named.contains(path)) {
                findings.add("nobody knows what this file is", what);
            }
        }
    }
}

/// All files of the data directory and of the artifacts', which may lie elsewhere.
fn walk(checker: &Checker, findings: &mut Findings) -> Vec<Found> {
    let mut found = BTreeMap::new();
    below(&checker.data, "", &mut found, findings);
    if !checker.media.starts_with(&checker.data) {
        below(&checker.media, "media/", &mut found, findings);
    }
    found.into_iter().filter(|(name, _)| !checker.also.contains(name)).map(|(_, file)| file).collect()
}

fn below(directory: &Path, name: &str, found: &mut BTreeMap<String, Found>, findings: &mut Findings) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), format!("{name}{}", entry.file_name().to_string_lossy()));
        // It may be gone again.
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.is_dir() {
            below(&path, &format!("{name}/"), found, findings);
        } else if about.is_file() {
            found.insert(name.clone(), Found { path, kind: kind(&name), about });
        } else {
            findings.add("nobody knows what this file is", path.display().to_string());
        }
    }
}
