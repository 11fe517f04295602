//! A file repository with all that belongs to it, in one chained expression.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use serde_json::{Value, json};

use crate::client::{Client, created};
use crate::{Tree, Upstream};

impl Client {
    /// Describes a file repository and what belongs to it; awaiting it makes everything, in order.
    ///
    /// ```no_run
    /// # async fn example(client: pulp_testkit::Client, upstream: pulp_testkit::Upstream) {
    /// let world = client.file_repo("x").remote(&upstream).sync().publish().distribute().await;
    /// let manifest = client.try_get(&world.path("PULP_MANIFEST")).await;
    /// # }
    /// ```
    pub fn file_repo(&self, name: &str) -> FileRepo {
        FileRepo { client: self.clone(), name: name.to_owned(), repository: json!({}), remote: None, steps: Vec::new() }
    }
}

/// What is to be made. Await it.
#[derive(Debug)]
#[must_use = "nothing is made before it is awaited"]
pub struct FileRepo {
    client: Client,
    name: String,
    repository: Value,
    remote: Option<Value>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Sync { mirror: bool },
    Publish,
    Distribute,
}

/// What was made. Everything bears the name of the repository.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileWorld {
    /// The repository, as it is in the end.
    pub repository: Value,
    /// The remote, if there is one.
    pub remote: Option<Value>,
    /// The latest version's href.
    pub version: String,
    /// The publication, if one was asked for.
    pub publication: Option<Value>,
    /// The distribution, if one was asked for; its base path is the name.
    pub distribution: Option<Value>,
}

impl FileRepo {
    /// Gives the repository a field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.repository[field] = value.into();
        self
    }

    /// Publishes every new version.
    pub fn autopublish(self) -> Self {
        self.with("autopublish", true)
    }

    /// Makes a remote of the upstream's `PULP_MANIFEST`, with its certificates if it has any.
    pub fn remote(self, upstream: &Upstream) -> Self {
        let mut remote = json!({"url": upstream.url("PULP_MANIFEST")});
        if let Some(authority) = upstream.authority() {
            remote["ca_cert"] = authority.certificate().into();
        }
        if let Some(client) = upstream.client() {
            remote["client_cert"] = client.certificate.clone().into();
            remote["client_key"] = client.key.clone().into();
        }
        self.remote_of(remote)
    }

    /// Makes a remote of a tree's `PULP_MANIFEST` on disk. The server must be allowed to read there.
    pub fn remote_tree(self, tree: &Tree) -> Self {
        self.remote_of(json!({"url": format!("{}PULP_MANIFEST", tree.url())}))
    }

    /// Makes a remote with these fields; it gets its name.
    pub fn remote_of(mut self, fields: Value) -> Self {
        self.remote = Some(fields);
        self
    }

    /// Gives the remote a field.
    ///
    /// # Panics
    /// When there is no remote yet.
    pub fn remote_with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.remote.as_mut().expect("a remote before its fields")[field] = value.into();
        self
    }

    /// The remote's policy: `immediate`, `on_demand` or `streamed`.
    pub fn policy(self, policy: &str) -> Self {
        self.remote_with("policy", policy)
    }

    /// Syncs from the remote.
    pub fn sync(self) -> Self {
        self.step(Step::Sync { mirror: false })
    }

    /// Syncs from the remote, as a mirror.
    pub fn mirror(self) -> Self {
        self.step(Step::Sync { mirror: true })
    }

    /// Publishes the latest version.
    pub fn publish(self) -> Self {
        self.step(Step::Publish)
    }

    /// Distributes the publication, or, if there is none, whatever is the latest of the repository.
    pub fn distribute(self) -> Self {
        self.step(Step::Distribute)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    async fn make(self) -> FileWorld {
        let Self { client, name, mut repository, remote, steps } = self;
        let remote = match remote {
            None => None,
            Some(mut fields) => {
                fields["name"] = name.clone().into();
                let made = client.create("remotes/file/file/", fields).await;
                repository["remote"] = made["pulp_href"].clone();
                Some(made)
            }
        };
        repository["name"] = name.clone().into();
        let href = href(&client.create("repositories/file/file/", repository).await);
        let (mut publication, mut distribution): (Option<Value>, Option<Value>) = (None, None);
        for step in steps {
            match step {
                Step::Sync { mirror } => {
                    let answer = client.post(&format!("{href}sync/"), json!({"mirror": mirror})).await;
                    client.wait(answer).await;
                }
                Step::Publish => {
                    let answer = client.post("publications/file/file/", json!({"repository": href})).await;
                    let made = created(&client.wait(answer).await, "publications");
                    publication = Some(client.get(&made).await);
                }
                Step::Distribute => {
                    let mut fields = json!({"name": name, "base_path": name});
                    match &publication {
                        Some(publication) => fields["publication"] = publication["pulp_href"].clone(),
                        None => fields["repository"] = href.clone().into(),
                    }
                    distribution = Some(client.create("distributions/file/file/", fields).await);
                }
            }
        }
        let repository = client.get(&href).await;
        let version = repository["latest_version_href"].as_str().expect("a repository has a version").to_owned();
        FileWorld { repository, remote, version, publication, distribution }
    }
}

impl IntoFuture for FileRepo {
    type Output = FileWorld;
    type IntoFuture = Pin<Box<dyn Future<Output = FileWorld> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.make())
    }
}

impl FileWorld {
    /// Where a file of the distribution is served: its `base_url` and the percent-encoded path.
    ///
    /// # Panics
    /// When nothing was distributed.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        let distribution = self.distribution.as_ref().expect("a distribution");
        let base = distribution["base_url"].as_str().expect("a distribution has a base URL");
        format!("{}/{}", base.trim_end_matches('/'), crate::upstream::encode(path))
    }

    /// The href of the repository.
    #[must_use]
    pub fn href(&self) -> String {
        href(&self.repository)
    }
}

fn href(resource: &Value) -> String {
    resource["pulp_href"].as_str().expect("a resource has a pulp_href").to_owned()
}
