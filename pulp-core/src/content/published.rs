//! Serving publications.

use async_trait::async_trait;

use super::{
    ContentPath, DistributionHandler, Listing, Moment, Redirect, ServeContext, ServeError, Served, checkpoint, file_at, grace, lazy,
    located_at,
};
use crate::model::{Distribution, PublishedVersion, Tree};

/// Serves the publication of a distribution: the one it names, or the newest of its version or repository.
///
/// A directory shows its `index.html` if the publication has published one, else a listing. Files of publications that the
/// distribution served until lately are still found. What the publication does not name is found at the path of its unit, if the
/// publication passes through. A distribution of checkpoints serves each of them below its moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublishedHandler;

#[async_trait]
impl DistributionHandler for PublishedHandler {
    async fn handle(&self, cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError> {
        if cx.distribution.checkpoint {
            return checkpoint::handle(cx, path).await;
        }
        let db = cx.pulp.db();
        let Some(publication) = cx.publication().await? else {
            return Ok(Served::NotFound(without_publication(cx)));
        };
        match serve_publication(cx, &publication, path).await? {
            Served::NotFound(reason) if !path.is_directory() && cx.moment.is_none() => {
                match grace::find(db, cx.distribution.pulp_id, path, cx.pulp.now()).await? {
                    Some(file) => file_at(cx, file).await,
                    None => Ok(Served::NotFound(reason)),
                }
            }
            found => Ok(found),
        }
    }

    fn remembers(&self, distribution: &Distribution, decision: &Served) -> bool {
        // Which checkpoint a moment leads to changes as time passes; what was published then does not.
        matches!(decision, Served::File(_)) || (!distribution.checkpoint && matches!(decision, Served::Redirect(_) | Served::NotFound(_)))
    }
}

/// What one publication has at a path.
pub(super) async fn serve_publication(
    cx: &ServeContext<'_>,
    publication: &PublishedVersion,
    path: &ContentPath,
) -> Result<Served, ServeError> {
    let db = cx.pulp.db();
    if path.is_directory() {
        let index = format!("{path}index.html");
        if let Some(file) = publication.published().find(db, &index).await? {
            return file_at(cx, file).await;
        }
    } else {
        let failed_after = Some(lazy::failed_after(cx.pulp));
        if let Some(located) = Tree::locate_in(&publication.trees(), db, path.as_str(), failed_after).await? {
            return located_at(cx, located).await;
        }
    }
    directory(cx, publication.trees(), path).await
}

/// Serves the files of a repository version, or of a repository’s newest one, at the paths of their units; no publication is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct PassThroughHandler;

#[async_trait]
impl DistributionHandler for PassThroughHandler {
    async fn handle(&self, cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError> {
        let db = cx.pulp.db();
        if cx.distribution.repository_version_id.is_none() && cx.distribution.repository_id.is_none() {
            return Ok(Served::NotFound(POINTS_NOWHERE.to_owned()));
        }
        let Some(tree) = cx.version().await? else {
            return Ok(Served::NotFound("the repository has no version".to_owned()));
        };
        if path.is_directory() {
            let index = format!("{path}index.html");
            if let Some(file) = tree.find(db, &index).await? {
                return file_at(cx, file).await;
            }
        } else if let Some(located) = Tree::locate_in(&[tree], db, path.as_str(), Some(lazy::failed_after(cx.pulp))).await? {
            return located_at(cx, located).await;
        }
        directory(cx, vec![tree], path).await
    }

    fn remembers(&self, _: &Distribution, decision: &Served) -> bool {
        matches!(decision, Served::File(_) | Served::Redirect(_) | Served::NotFound(_))
    }
}

const POINTS_NOWHERE: &str = "Distribution is not pointing to a publication, repository, repository version, or remote.";

fn without_publication(cx: &ServeContext<'_>) -> String {
    match cx.moment {
        Some(Moment::Version(number)) => format!("version {number} of the repository has no publication"),
        Some(moment) => format!("the repository had no publication at {moment}, or what was published then was deleted since"),
        None => points_to_no_publication(cx.distribution).to_owned(),
    }
}

fn points_to_no_publication(distribution: &Distribution) -> &'static str {
    if distribution.publication_id.is_some() {
        "the distribution’s publication is not complete"
    } else if distribution.repository_version_id.is_some() {
        "the distribution’s repository version has no publication"
    } else if distribution.repository_id.is_some() {
        "the distribution’s repository has no publication"
    } else {
        POINTS_NOWHERE
    }
}

/// A path that is no file: a listing, a redirect to one, or nothing.
async fn directory(cx: &ServeContext<'_>, trees: Vec<Tree>, path: &ContentPath) -> Result<Served, ServeError> {
    let directory = path.to_directory();
    if path.is_directory() {
        if let Some(listing) = Listing::of_trees(cx.pulp.db().clone(), trees, directory).await? {
            return Ok(Served::Listing(listing));
        }
        if path.as_str().is_empty() {
            return Ok(Served::NotFound("the distribution serves an empty set of files".to_owned()));
        }
        return Ok(Served::NotFound(format!("the distribution has no directory \"{path}\"")));
    }
    for tree in trees {
        if tree.has_below(cx.pulp.db(), &directory).await? {
            return Ok(Served::Redirect(Redirect::Directory));
        }
    }
    Ok(Served::NotFound(format!("the distribution has no file \"{path}\"")))
}
