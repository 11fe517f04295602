//! Identifiers: UUID v7 keys, PRNs and hrefs.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A new key: a UUID of version 7, so that rows made one after the other lie together in an index.
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// A Pulp resource name: `prn:<model>:<uuid>`, such as `prn:file.filerepository:0197…`.
///
/// It names an object for ever, whatever path the API is mounted under, and is accepted wherever an href is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prn {
    /// The model’s label: application and model name in lower case, joined by a dot.
    pub model: String,
    /// The object’s key.
    pub id: Uuid,
}

impl Prn {
    /// The PRN of an object of this model.
    pub fn new(model: impl Into<String>, id: Uuid) -> Self {
        Self { model: model.into(), id }
    }
}

impl fmt::Display for Prn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prn:{}:{}", self.model, self.id)
    }
}

/// A text that is no PRN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a PRN: it must read prn:<model>:<uuid>")]
pub struct BadPrn(pub String);

impl FromStr for Prn {
    type Err = BadPrn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadPrn(text.to_owned());
        let (model, id) = text.strip_prefix("prn:").and_then(|rest| rest.split_once(':')).ok_or_else(bad)?;
        let well_formed = model.split_once('.').is_some_and(|(app, name)| {
            [app, name]
                .iter()
                .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        });
        if !well_formed {
            return Err(bad());
        }
        Ok(Self { model: model.to_owned(), id: id.parse().map_err(|_| bad())? })
    }
}

impl serde::Serialize for Prn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Prn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Builds and takes apart the hrefs of the API: paths below its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hrefs {
    root: String,
    domains: bool,
}

impl Hrefs {
    /// `root` is Pulp’s `API_ROOT`, with a slash at both ends (`/pulp/`); with `domains`, the name of the domain is part
    /// of the path.
    pub fn new(root: impl Into<String>, domains: bool) -> Self {
        Self { root: root.into(), domains }
    }

    /// The path under which all end points lie: `/pulp/api/v3/`, or `/pulp/<domain>/api/v3/`.
    pub fn base(&self, domain: &str) -> String {
        if self.domains { format!("{}{domain}/api/v3/", self.root) } else { format!("{}api/v3/", self.root) }
    }

    /// The href of one object: `collection` is the path of its list below [`Hrefs::base`], without slashes at its ends.
    pub fn object(&self, domain: &str, collection: &str, id: Uuid) -> String {
        format!("{}{collection}/{id}/", self.base(domain))
    }

    /// The href of a version of the repository whose list lies at `collection`.
    pub fn version(&self, domain: &str, collection: &str, repository: Uuid, number: i64) -> String {
        format!("{}{collection}/{repository}/versions/{number}/", self.base(domain))
    }

    /// Takes an href apart into the domain (`default` where paths carry none) and the path below the base, without
    /// slashes at its ends. Full URLs are accepted, as Pulp does.
    pub fn split<'a>(&self, href: &'a str) -> Option<(&'a str, &'a str)> {
        let path = match href.split_once("://") {
            Some((_, rest)) => rest.find('/').map(|at| &rest[at..])?,
            None => href,
        };
        let rest = path.strip_prefix(self.root.as_str())?;
        let (domain, rest) = if self.domains { rest.split_once('/')? } else { ("default", rest) };
        Some((domain, rest.strip_prefix("api/v3/")?.trim_end_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prn_reads_back() {
        let prn = Prn::new("file.filerepository", new_id());
        assert_eq!(prn.to_string().parse::<Prn>(), Ok(prn));
        for bad in ["", "prn:", "prn:file:x", "prn:File.x:0197b0a0-0000-7000-8000-000000000000", "prn:a.b:zz"] {
            assert!(bad.parse::<Prn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hrefs_read_back() {
        let id = new_id();
        let plain = Hrefs::new("/pulp/", false);
        let href = plain.object("default", "remotes/file/file", id);
        assert_eq!(href, format!("/pulp/api/v3/remotes/file/file/{id}/"));
        let below = format!("remotes/file/file/{id}");
        assert_eq!(plain.split(&href), Some(("default", below.as_str())));
        assert_eq!(plain.split(&format!("http://host:1{href}")), Some(("default", below.as_str())));
        let domains = Hrefs::new("/pulp/", true);
        assert_eq!(
            domains.version("d1", "repositories/file/file", id, 3),
            format!("/pulp/d1/api/v3/repositories/file/file/{id}/versions/3/")
        );
        assert_eq!(plain.split("/elsewhere/api/v3/x/"), None);
    }
}
