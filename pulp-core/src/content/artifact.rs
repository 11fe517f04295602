//! Artifacts by their keys, for whoever was given a signed address: the artifact distribution, one per domain.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::guards::{new_secret, sign};
use super::{Change, ContentPath, DistributionHandler, ServeContext, ServeError, Served, ServedFile};
use crate::db::{DbError, ExecutorExt, Sql};
use crate::ids::new_id;
use crate::model::{Artifact, Distribution, Domain};
use crate::{Error, Pulp, Result};

/// The type of the distribution that serves artifacts by their key.
pub(super) const ARTIFACT_DISTRIBUTION: &str = "core.artifact";

/// What the artifact distribution serves.
pub(crate) struct Artifacts;

#[async_trait]
impl DistributionHandler for Artifacts {
    async fn handle(&self, cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError> {
        let nothing = || Served::NotFound(format!("there is no artifact \"{path}\""));
        let Ok(id) = Uuid::try_parse(path.as_str()) else { return Ok(nothing()) };
        let sql = Sql::new("select * from core_artifact where pulp_id = $1 and pulp_domain_id = $2");
        let found: Option<Artifact> = cx.pulp.db().optional(sql.bind(id).bind(cx.distribution.pulp_domain_id)).await?;
        Ok(match found {
            Some(artifact) => Served::File(ServedFile::of(&artifact, path.as_str())?),
            None => nothing(),
        })
    }

    fn remembers(&self, _: &Distribution, decision: &Served) -> bool {
        matches!(decision, Served::File(_))
    }
}

impl Pulp {
    /// An address under which anybody who has it can fetch an artifact, for an hour.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn artifact_url(&self, domain: &Domain, artifact: &Artifact) -> Result<String> {
        let (base_path, sealed) = match distribution(self, domain).await? {
            Some(found) => found,
            None => {
                make(self, domain).await?;
                distribution(self, domain).await?.ok_or_else(|| Error::Internal("the artifact distribution has vanished".to_owned()))?
            }
        };
        let secret = hex::decode(self.unseal(&sealed)?.expose()).map_err(|error| Error::Internal(error.to_string()))?;
        let settings = self.settings();
        let within = if settings.domain_enabled { format!("{}/", domain.name) } else { String::new() };
        let path = format!("{}{within}{base_path}/{}", settings.content_path_prefix, artifact.pulp_id);
        Ok(format!("{}{}", settings.content_origin.as_deref().unwrap_or_default(), sign(&path, &secret, self.now())))
    }
}

/// Base path and encrypted secret of the domain’s artifact distribution.
async fn distribution(pulp: &Pulp, domain: &Domain) -> Result<Option<(String, String)>, DbError> {
    let sql = Sql::new(
        "select d.base_path, g.shared_secret from core_distribution d \
         join core_contentredirectcontentguard g on g.contentguard_ptr_id = d.content_guard_id \
         where d.pulp_type = 'core.artifact' and d.pulp_domain_id = $1 order by d.pulp_id limit 1",
    );
    pulp.db().optional(sql.bind(domain.pulp_id)).await
}

async fn make(pulp: &Pulp, domain: &Domain) -> Result<()> {
    // The same name whoever makes it, so that it is made once.
    let name = hex::encode(Sha256::new().chain_update(b"artifacts of ").chain_update(domain.pulp_id.as_bytes()).finalize());
    let (guard, distribution, now) = (new_id(), new_id(), pulp.now());
    let sealed = pulp.seal(&new_secret())?;
    let tx = pulp.db().begin().await?;
    let statements = [
        Sql::new(
            "insert into core_contentguard (pulp_id, pulp_created, pulp_last_updated, pulp_type, name, pulp_domain_id) \
             values ($1, $2, $2, 'core.content_redirect', $3, $4)",
        )
        .bind(guard)
        .bind(now)
        .bind(&name)
        .bind(domain.pulp_id),
        Sql::new("insert into core_contentredirectcontentguard (contentguard_ptr_id, shared_secret) values ($1, $2)")
            .bind(guard)
            .bind(sealed),
        Sql::new(
            "insert into core_distribution \
             (pulp_id, pulp_created, pulp_last_updated, pulp_type, name, base_path, content_guard_id, pulp_domain_id) \
             values ($1, $2, $2, 'core.artifact', $3, $3, $4, $5)",
        )
        .bind(distribution)
        .bind(now)
        .bind(&name)
        .bind(guard)
        .bind(domain.pulp_id),
        Sql::new("insert into core_artifactdistribution (distribution_ptr_id) values ($1)").bind(distribution),
    ];
    for statement in statements {
        match tx.execute(statement).await {
            Ok(_) => {}
            // Somebody else was faster.
            Err(DbError::Unique { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    tx.commit().await?;
    Change::Distributions.announce(pulp).await;
    Ok(())
}
