//! Where the one file of a new content unit comes from: sent along, an artifact, an upload, or an address.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Context, Field, GeneralCreate, Input, Kind, Reply, Target, bases};
use crate::api::uploads;
use crate::digest::Expected;
use crate::download::{DownloadRequest, SaveOptions, download_to_spool};
use crate::ids::{Prn, new_id};
use crate::model::save::{NewArtifact, save_artifacts, touch_artifacts};
use crate::model::{Artifact, Model, Remote, Repository};
use crate::storage::Spooled;
use crate::{Error, Pulp, Result};

/// The fields of a body that say where the file comes from.
pub fn fields() -> Vec<Field> {
    vec![
        Field::href("artifact", Target::ARTIFACT)
            .write_only()
            .nowhere()
            .keyword("writeOnly", Json::Null)
            .help("An artifact that is the unit's file."),
        Field::file("file").help("The unit's file."),
        Field::href("upload", Target::UPLOAD).write_only().nowhere().help("An upload, not committed yet, that becomes the unit's file."),
        Field::text("file_url").write_only().nowhere().help("An address from which the server fetches the unit's file."),
        Field::new("downloader_config", Kind::Object("RemoteNetworkConfig", bases::network_fields()))
            .write_only()
            .nowhere()
            .help("How `file_url` is fetched."),
    ]
}

/// Checks that a body says exactly once where the file of the unit comes from, and that its `repository` takes units of the type. A file
/// that was sent along is stored right now, so that a task can go on with the body: it names an artifact then.
///
/// # Errors
/// [`Error::Refused`] if the body names no file or several, or another kind of repository; trouble with the storage.
pub async fn settle(cx: &Context, unit_type: &str, input: &mut Input) -> Result<()> {
    let given = ["upload", "artifact", "file_url"].iter().filter(|field| input.text(field).is_some()).count();
    if given + usize::from(input.has_file("file")) != 1 {
        return Err(Error::Refused(json!({"non_field_errors": ["Exactly one of upload, artifact, file, file_url must be specified."]})));
    }
    if let Some(repository) = input.id("repository") {
        check_supported(cx, unit_type, repository).await?;
    }
    if let Some(file) = input.take_file("file") {
        let artifact = store(cx.pulp(), cx.domain().pulp_id, file).await?;
        input.set("artifact", Prn::new("core.artifact", artifact).to_string());
    }
    Ok(())
}

/// Settles where the file comes from and dispatches the task that makes the unit, one of `unit_type` and of the list at `path`. The
/// task has the repository and the upload that the body names to itself.
///
/// # Errors
/// As [`settle`]; trouble with the database.
pub async fn create(cx: &Context, unit_type: &str, path: &'static str, mut input: Input) -> Result<Reply> {
    settle(cx, unit_type, &mut input).await?;
    let mut options = cx.dispatch_options();
    for field in ["repository", "upload"] {
        if let Some(prn) = input.reference(field) {
            options = options.exclusive(prn);
        }
    }
    // What fetches or puts together a large file takes longer than a request may.
    if input.text("artifact").is_none() {
        options.immediate = Some(false);
    }
    cx.dispatch_with(GeneralCreate::new(path, input), options).await
}

/// Refuses a repository that takes no units of the type.
async fn check_supported(cx: &Context, unit_type: &str, repository: Uuid) -> Result<()> {
    let repository = Repository::find(cx.pulp().db(), repository).await?;
    let rules = cx.pulp().registry().repository_type(&repository.pulp_type);
    if rules.is_some_and(|rules| rules.unit_types().contains(&unit_type)) {
        return Ok(());
    }
    Err(Error::Refused(json!({"non_field_errors": ["Content is not supported by this repository."]})))
}

/// The artifact that a [settled](settle) body means: an upload is put together, an address is fetched. Call [`done`] when the unit is made.
///
/// # Errors
/// If the artifact or the upload is gone, or the address cannot be fetched.
pub async fn artifact(cx: &Context, input: &Input) -> Result<Artifact> {
    let db = cx.pulp().db();
    let id = if let Some(id) = input.id("artifact") {
        touch_artifacts(db, &[id], cx.pulp().now()).await?;
        id
    } else if let Some(upload) = input.id("upload") {
        uploads::into_artifact(cx, upload).await?
    } else {
        let url = input.text("file_url").unwrap_or_default();
        let file = fetch(cx.pulp(), url, input.get("downloader_config")).await?;
        store(cx.pulp(), cx.domain().pulp_id, file).await?
    };
    Artifact::find(db, id).await
}

/// The unit is made, and all else that the body asked for is done: the upload that it names is not needed any more. Until then it stays, so that
/// whoever was interrupted can do the same again.
///
/// # Errors
/// If the database cannot be reached.
pub async fn done(cx: &Context, input: &Input) -> Result<()> {
    match input.id("upload") {
        Some(upload) if input.text("artifact").is_none() => uploads::remove(cx, upload).await,
        _ => Ok(()),
    }
}

/// Gives a spooled file its place in the storage and its row; the key of that row, or of the one that was there.
///
/// # Errors
/// Trouble with the storage or the database.
pub async fn store(pulp: &Pulp, domain: Uuid, file: Spooled) -> Result<Uuid> {
    let sha256 = file.sha256()?;
    let place = Artifact::place(&sha256, domain, pulp.settings().domain_enabled);
    let new = NewArtifact {
        file: place.to_string(),
        size: i64::try_from(file.size()).map_err(|_| Error::BadRequest("The file is too large.".to_owned()))?,
        digests: file.digests().clone(),
    };
    let _storing = pulp.storing().read().await;
    pulp.storage().adopt(file, &place).await?;
    let tx = pulp.db().begin().await?;
    let keys = save_artifacts(&tx, &[new], domain, pulp.now()).await?;
    tx.commit().await?;
    keys.get(&sha256.to_string()).copied().ok_or_else(|| Error::Internal("a saved artifact has no key".to_owned()))
}

async fn fetch(pulp: &Pulp, url: &str, config: Option<&Json>) -> Result<Spooled> {
    let parsed: url::Url = url.parse().map_err(|_| Error::field("file_url", "Enter a valid URL."))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Error::field("file_url", "Only http and https URLs are fetched."));
    }
    let client = pulp.client(&passing_remote(pulp, url, config))?;
    let options = SaveOptions::expecting(Expected::anything()).retry(client.retry);
    Ok(download_to_spool(client.downloaders.as_ref(), DownloadRequest::new(parsed), pulp.spool(), &options).await?)
}

/// A remote that lives for one download only.
fn passing_remote(pulp: &Pulp, url: &str, config: Option<&Json>) -> Remote {
    let text = |name: &str| config.and_then(|config| config.get(name)?.as_str().map(str::to_owned));
    let integer = |name: &str| config.and_then(|config| config.get(name)?.as_i64());
    let float = |name: &str| config.and_then(|config| config.get(name)?.as_f64());
    Remote {
        pulp_id: new_id(),
        pulp_created: pulp.now(),
        pulp_last_updated: None,
        pulp_type: String::new(),
        pulp_labels: Default::default(),
        name: "downloader_config".to_owned(),
        url: url.to_owned(),
        policy: "immediate".to_owned(),
        ca_cert: text("ca_cert"),
        client_cert: text("client_cert"),
        client_key: text("client_key"),
        tls_validation: config.and_then(|config| config.get("tls_validation")?.as_bool()).unwrap_or(true),
        proxy_url: text("proxy_url"),
        proxy_username: text("proxy_username"),
        proxy_password: text("proxy_password"),
        username: text("username"),
        password: text("password"),
        download_concurrency: integer("download_concurrency"),
        max_retries: integer("max_retries"),
        rate_limit: integer("rate_limit"),
        total_timeout: float("total_timeout"),
        connect_timeout: float("connect_timeout"),
        sock_connect_timeout: float("sock_connect_timeout"),
        sock_read_timeout: float("sock_read_timeout"),
        headers: config.and_then(|config| config.get("headers").cloned()).map(sqlx::types::Json),
        deleted_at: None,
        pulp_domain_id: pulp.default_domain().pulp_id,
    }
}
