//! The services themselves.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use sqlx::FromRow;
use uuid::Uuid;

use super::program::{Workroom, run};
use super::{KeyBackend, SigningError};
use crate::Pulp;
use crate::clock::Timestamp;
use crate::db::{DbError, ExecutorExt, Sql};
use crate::ids::new_id;

/// The kinds of services: the component’s label, and the class that Pulp has for the kind.
pub const SIGNING_CLASSES: &[&str] = &["core:AsciiArmoredDetachedSigningService"];

/// A row of `core_signingservice`.
#[derive(Debug, Clone, FromRow)]
pub struct SigningService {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// Unique.
    pub name: String,
    /// One of [`SIGNING_CLASSES`].
    pub kind: String,
    /// The program.
    pub script: String,
    /// The public key, armored.
    pub public_key: String,
    /// The fingerprint of its primary key.
    pub pubkey_fingerprint: String,
}

/// What a signing service is made of.
#[derive(Debug, Clone, Default)]
pub struct NewSigningService {
    /// Unique.
    pub name: String,
    /// The program.
    pub script: PathBuf,
    /// Key id or fingerprint.
    pub key: String,
    /// One of [`SIGNING_CLASSES`].
    pub class: String,
    /// What keeps the key.
    pub backend: KeyBackend,
    /// Where it keeps it, if not at its usual place.
    pub home: Option<PathBuf>,
    /// The keyring, if not the usual one; of GnuPG only.
    pub keyring: Option<String>,
}

/// What a validated signature is of.
const PROBE: &[u8] = b"arbitrary data";

impl Pulp {
    /// Adds a signing service, after it has signed something and its public key has verified that.
    ///
    /// # Errors
    /// [`SigningError`] by meaning.
    pub async fn add_signing_service(&self, new: NewSigningService) -> Result<SigningService, SigningError> {
        known_class(self, &new.class)?;
        let script = std::path::absolute(&new.script)?;
        let is_file = tokio::fs::metadata(&script).await.is_ok_and(|metadata| metadata.is_file());
        let shown = new.script.display();
        if !is_file {
            return Err(SigningError::Refused(format!("No such file or directory: '{shown}'")));
        }
        let script = script.to_str().ok_or_else(|| SigningError::Refused(format!("the path '{shown}' is not UTF-8")))?.to_owned();
        let key = new.backend.find(&new.key, new.home.as_deref(), new.keyring.as_deref()).await?;
        let now = self.now();
        let service = SigningService {
            pulp_id: new_id(),
            pulp_created: now,
            pulp_last_updated: Some(now),
            name: new.name,
            kind: new.class,
            script,
            public_key: key.armored,
            pubkey_fingerprint: key.fingerprint,
        };
        service.probe(self, new.backend).await?;
        let insert = Sql::new(
            "insert into core_signingservice (pulp_id, pulp_created, pulp_last_updated, name, kind, script, public_key, pubkey_fingerprint) \
             values ($1, $2, $2, $3, $4, $5, $6, $7)",
        );
        let insert = insert.bind(service.pulp_id).bind(now).bind(&service.name).bind(&service.kind).bind(&service.script);
        match self.db().execute(insert.bind(&service.public_key).bind(&service.pubkey_fingerprint)).await {
            Ok(_) => Ok(service),
            Err(DbError::Unique { .. }) => {
                Err(SigningError::Refused(format!("a signing service of the name '{}' already exists.", service.name)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a signing service of this name and class.
    ///
    /// # Errors
    /// [`SigningError::Refused`] if there is none, or no such class.
    pub async fn remove_signing_service(&self, name: &str, class: &str) -> Result<(), SigningError> {
        known_class(self, class)?;
        let sql = Sql::new("delete from core_signingservice where name = $1 and kind = $2").bind(name).bind(class);
        match self.db().execute(sql).await? {
            0 => Err(SigningError::Refused(format!("Signing service '{name}' does not exist."))),
            _ => Ok(()),
        }
    }

    /// All signing services, by name.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn signing_services(&self) -> crate::Result<Vec<SigningService>> {
        Ok(self.db().all("select * from core_signingservice order by name").await?)
    }
}

fn known_class(pulp: &Pulp, class: &str) -> Result<(), SigningError> {
    if SIGNING_CLASSES.contains(&class) {
        return Ok(());
    }
    let refused = |text: String| Err(SigningError::Refused(text));
    match class.split_once(':') {
        None => refused("The signing service class was not provided in a proper format.".to_owned()),
        Some((label, model)) if label == "core" || pulp.registry().plugins().iter().any(|plugin| plugin.label == label) => {
            refused(format!("App '{label}' doesn't have a '{model}' model."))
        }
        Some((label, _)) => refused(format!("No installed app with label '{label}'.")),
    }
}

impl SigningService {
    /// Has a file signed; what the script tells: JSON that names the files that it wrote. `environment` is added to the script’s, and
    /// `fingerprint` says which key to sign with, if not the service’s own.
    ///
    /// # Errors
    /// [`SigningError::Program`] if the script fails, [`SigningError::Script`] if it tells no JSON.
    pub async fn sign(&self, file: &Path, environment: &[(&str, &str)], fingerprint: Option<&str>) -> Result<Json, SigningError> {
        let mut all: Vec<(&str, &OsStr)> = environment.iter().map(|(name, value)| (*name, OsStr::new(*value))).collect();
        all.push(("PULP_SIGNING_KEY_FINGERPRINT", fingerprint.unwrap_or(&self.pubkey_fingerprint).as_ref()));
        let said = run(Path::new(&self.script), [file], &all).await?;
        serde_json::from_slice(&said).map_err(|_| SigningError::Script("did not return valid JSON!".to_owned()))
    }

    /// Has something signed and verifies it.
    async fn probe(&self, pulp: &Pulp, backend: KeyBackend) -> Result<(), SigningError> {
        let room = Workroom::new(pulp).await?;
        let file = room.path().join("probe");
        tokio::fs::write(&file, PROBE).await?;
        let told = self.sign(&file, &[], None).await?;
        let signature = told.get("signature").and_then(Json::as_str);
        let signature = signature.ok_or_else(|| SigningError::Script("named no signature".to_owned()))?;
        backend.verify(pulp, &self.public_key, Path::new(signature), &file).await
    }
}
