//! The content type for programs that embed the library: typed calls, no HTTP.

use super::directory::IndexDirectory;
use super::publish::Publish;
use super::repository::MODEL;
use super::sync::Synchronize;
use super::{FileRepository, manifest};
use crate::prelude::*;

/// The file repositories of a Pulp. Calls wait until what they do is done; it is done in this process, as tasks, so that it is ordered
/// with whatever else happens to the same repository.
///
/// ```no_run
/// use pulp_core::Pulp;
/// use pulp_core::model::Policy;
/// use pulp_core::plugins::file::Files;
///
/// # async fn mirror() -> pulp_core::Result<()> {
/// let pulp = Pulp::builder().data_dir("data").build().await?;
/// let files = Files::of(&pulp);
/// let upstream = files.remote("isos", "https://example.com/isos/PULP_MANIFEST", Policy::OnDemand).await?;
/// let isos = files.repository("isos").await?;
/// if isos.sync(&upstream, true).await?.version.is_some() {
///     isos.publish().await?;
/// }
/// isos.distribute("isos").await?; // served under /pulp/content/isos/
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Files {
    pulp: Pulp,
}

/// A file repository.
#[derive(Debug, Clone)]
pub struct Repo {
    pub(super) pulp: Pulp,
    pub(super) repository: Repository,
}

/// What a sync has done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SyncOutcome {
    /// The new version; none if nothing has changed.
    pub version: Option<RepositoryVersion>,
    /// The task that it was.
    pub task: TaskRow,
}

impl Files {
    /// Of this Pulp, in its default domain.
    pub fn of(pulp: &Pulp) -> Self {
        Self { pulp: pulp.clone() }
    }

    /// The repository of this name, made if it is not there.
    ///
    /// # Errors
    /// If the name belongs to a repository of another type, or the database cannot be reached.
    pub async fn repository(&self, name: &str) -> Result<Repo> {
        let domain = self.pulp.default_domain().pulp_id;
        let find = Sql::new("select * from core_repository where name = $1 and pulp_domain_id = $2").bind(name).bind(domain);
        let repository = match self.pulp.db().optional::<Repository>(find).await? {
            Some(found) => found,
            None => {
                let tx = self.pulp.db().begin().await?;
                let made = version::create_repository(&tx, "file.file", name, domain, self.pulp.now()).await?;
                let detail = Sql::new("insert into file_filerepository (repository_ptr_id, manifest) values ($1, $2)");
                tx.execute(detail.bind(made.pulp_id).bind(manifest::PULP_MANIFEST)).await?;
                tx.commit().await?;
                made
            }
        };
        if repository.pulp_type != "file.file" {
            return Err(Error::Conflict(format!("the repository \"{name}\" is of the type {}, not file.file", repository.pulp_type)));
        }
        Ok(Repo { pulp: self.pulp.clone(), repository })
    }

    /// The remote of this name with this address and policy: made if it is not there, changed if it differs.
    ///
    /// # Errors
    /// If the address is no URL, or the name belongs to a remote of another type.
    pub async fn remote(&self, name: &str, url: &str, policy: Policy) -> Result<Remote> {
        if let Err(error) = url.parse::<url::Url>() {
            return Err(Error::field("url", format!("{} is not a URL: {error}", redact_url_text(url))));
        }
        let (domain, now) = (self.pulp.default_domain().pulp_id, self.pulp.now());
        let find = Sql::new("select * from core_remote where name = $1 and pulp_domain_id = $2").bind(name).bind(domain);
        let id = match self.pulp.db().optional::<Remote>(find).await? {
            Some(found) if found.pulp_type != "file.file" => {
                return Err(Error::Conflict(format!("the remote \"{name}\" is of the type {}, not file.file", found.pulp_type)));
            }
            Some(found) if found.url == url && found.policy() == policy => return Ok(found),
            Some(found) => {
                let change = Sql::new("update core_remote set url = $2, policy = $3, pulp_last_updated = $4 where pulp_id = $1");
                self.pulp.db().execute(change.bind(found.pulp_id).bind(url).bind(policy.as_str()).bind(now)).await?;
                Change::Everything.announce(&self.pulp).await;
                found.pulp_id
            }
            None => {
                let id = new_id();
                let tx = self.pulp.db().begin().await?;
                let insert = Sql::new(
                    "insert into core_remote (pulp_id, pulp_created, pulp_last_updated, pulp_type, name, url, policy, pulp_domain_id) \
                     values ($1, $2, $2, 'file.file', $3, $4, $5, $6)",
                );
                tx.execute(insert.bind(id).bind(now).bind(name).bind(url).bind(policy.as_str()).bind(domain)).await?;
                tx.execute(Sql::new("insert into file_fileremote (remote_ptr_id) values ($1)").bind(id)).await?;
                tx.commit().await?;
                id
            }
        };
        Remote::find(self.pulp.db(), id).await
    }

    /// The remote of this name, if there is one.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn find_remote(&self, name: &str) -> Result<Option<Remote>> {
        let find = Sql::new("select * from core_remote where name = $1 and pulp_domain_id = $2").bind(name);
        Ok(self.pulp.db().optional(find.bind(self.pulp.default_domain().pulp_id)).await?)
    }

    /// Gives a remote user and password, or takes them away. They are stored encrypted.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn sign_in(&self, remote: &Remote, login: Option<(&str, &str)>) -> Result<Remote> {
        let (user, password) = match login {
            Some((user, password)) => (Some(self.pulp.seal(user)?), Some(self.pulp.seal(password)?)),
            None if remote.username.is_none() && remote.password.is_none() => return Ok(remote.clone()),
            None => (None, None),
        };
        let change = Sql::new("update core_remote set username = $2, password = $3, pulp_last_updated = $4 where pulp_id = $1");
        self.pulp.db().execute(change.bind(remote.pulp_id).bind(user).bind(password).bind(self.pulp.now())).await?;
        Change::Everything.announce(&self.pulp).await;
        Remote::find(self.pulp.db(), remote.pulp_id).await
    }
}

impl Repo {
    /// Its row, as it was when it was looked up.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Its PRN.
    pub fn prn(&self) -> Prn {
        Prn::new(MODEL, self.repository.pulp_id)
    }

    /// Its latest version.
    ///
    /// # Errors
    /// If it was deleted.
    pub async fn latest(&self) -> Result<RepositoryVersion> {
        RepositoryVersion::latest(self.pulp.db(), self.repository.pulp_id).await
    }

    /// Syncs from a remote; as a mirror, what the upstream no longer has is removed.
    ///
    /// # Errors
    /// [`Error::Task`] with what went wrong.
    pub async fn sync(&self, remote: &Remote, mirror: bool) -> Result<SyncOutcome> {
        let remote = Prn::new("file.fileremote", remote.pulp_id);
        self.sync_by(Synchronize { repository: self.prn(), remote, mirror, optimize: true, url: None }).await
    }

    /// Takes in what the local directory holds that a remote with a `file://` address names, without any manifest; as a mirror, what
    /// the directory no longer has is removed. The files are read where they are, and stored unless the remote is lazy.
    ///
    /// The directory must lie under one of the setting’s [`allowed_import_paths`](crate::settings::Settings::allowed_import_paths).
    /// Links that lead out of it, links to directories and special files are passed over, and so is the data directory, should it
    /// lie inside.
    ///
    /// # Errors
    /// [`Error::Task`] with what went wrong: a name that cannot be published, a file that cannot be read.
    pub async fn sync_directory(&self, remote: &Remote, mirror: bool) -> Result<SyncOutcome> {
        let remote = Prn::new("file.fileremote", remote.pulp_id);
        self.sync_by(IndexDirectory { repository: self.prn(), remote, mirror }).await
    }

    async fn sync_by(&self, task: impl Task) -> Result<SyncOutcome> {
        let before = self.latest().await?;
        let task = self.run(task).await?;
        let after = self.latest().await?;
        Ok(SyncOutcome { version: (after.pulp_id != before.pulp_id).then_some(after), task })
    }

    /// Adds and removes units.
    ///
    /// # Errors
    /// [`Error::Task`] with what went wrong.
    pub async fn modify(&self, change: impl FnOnce(AddAndRemove) -> AddAndRemove) -> Result<RepositoryVersion> {
        self.run(change(AddAndRemove::new(self.prn()))).await?;
        self.latest().await
    }

    /// Publishes the latest version, with the manifest that the repository names.
    ///
    /// # Errors
    /// [`Error::Task`] with what went wrong.
    pub async fn publish(&self) -> Result<Publication> {
        let own = FileRepository::find(self.pulp.db(), self.repository.pulp_id).await?;
        let version = self.latest().await?;
        let publish =
            Publish { repository: self.prn(), repository_version: Some(version.pulp_id), manifest: own.manifest, checkpoint: false };
        self.run(publish).await?;
        self.publication().await?.ok_or_else(|| Error::not_found("the publication"))
    }

    /// Serves the repository’s latest publication under a base path: the distribution is made if it is not there. Its name is the path.
    ///
    /// # Errors
    /// If the path belongs to another distribution.
    pub async fn distribute(&self, base_path: &str) -> Result<Distribution> {
        if let Err(fault) = manifest::check_path(base_path) {
            return Err(Error::field("base_path", format!("The path {fault}.")));
        }
        let (domain, now) = (self.pulp.default_domain().pulp_id, self.pulp.now());
        let find = Sql::new("select * from core_distribution where base_path = $1 and pulp_domain_id = $2").bind(base_path).bind(domain);
        let id = match self.pulp.db().optional::<Distribution>(find).await? {
            Some(found) if found.pulp_type != "file.file" => {
                return Err(Error::Conflict(format!(
                    "the base path \"{base_path}\" belongs to a distribution of the type {}",
                    found.pulp_type
                )));
            }
            Some(found) => {
                let point = Sql::new(
                    "update core_distribution set repository_id = $2, publication_id = null, repository_version_id = null, pulp_last_updated = $3 \
                     where pulp_id = $1",
                );
                self.pulp.db().execute(point.bind(found.pulp_id).bind(self.repository.pulp_id).bind(now)).await?;
                found.pulp_id
            }
            None => {
                let id = new_id();
                let tx = self.pulp.db().begin().await?;
                let insert = Sql::new(
                    "insert into core_distribution (pulp_id, pulp_created, pulp_last_updated, pulp_type, name, base_path, repository_id, pulp_domain_id) \
                     values ($1, $2, $2, 'file.file', $3, $3, $4, $5)",
                );
                tx.execute(insert.bind(id).bind(now).bind(base_path).bind(self.repository.pulp_id).bind(domain)).await?;
                tx.execute(Sql::new("insert into file_filedistribution (distribution_ptr_id) values ($1)").bind(id)).await?;
                tx.commit().await?;
                id
            }
        };
        let seconds = self.pulp.settings().distributed_publication_retention_period;
        grace::note_distribution(self.pulp.db(), id, now, seconds).await?;
        Change::Distributions.announce(&self.pulp).await;
        Distribution::find(self.pulp.db(), id).await
    }

    async fn run(&self, task: impl Task) -> Result<TaskRow> {
        let ended = self.pulp.tasks().run(task, DispatchOptions::default()).await?;
        match ended.state() {
            TaskState::Completed => Ok(ended),
            TaskState::Failed => {
                let error = ended.error.as_ref().and_then(|error| error.0.get("description")?.as_str().map(str::to_owned));
                Err(Error::Task { description: error.unwrap_or_else(|| format!("the task {} failed", ended.name)) })
            }
            _ => Err(Error::Canceled),
        }
    }
}
