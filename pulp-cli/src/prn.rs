//! Pulp resource names: `prn:file.filerepository:018f…`.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// A Pulp resource name: the model of the resource and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prn {
    /// `file.filerepository`.
    pub(crate) model: String,
    /// The UUID.
    pub(crate) id: String,
}

/// Where the resources of each model lie, below the API root. A domain's name or a repository version's number is not
/// in its PRN, so those cannot be found this way.
const PATHS: &[(&str, &str)] = &[
    ("core.accesspolicy", "access_policies/"),
    ("core.artifact", "artifacts/"),
    ("core.contentredirectcontentguard", "contentguards/core/content_redirect/"),
    ("core.compositecontentguard", "contentguards/core/composite/"),
    ("core.domain", "domains/"),
    ("core.envvarheadercontentguard", "contentguards/core/envvar_header/"),
    ("core.filesystemexporter", "exporters/core/filesystem/"),
    ("core.headercontentguard", "contentguards/core/header/"),
    ("core.openpgpdistribution", "distributions/core/openpgp/"),
    ("core.openpgpkeyring", "repositories/core/openpgp_keyring/"),
    ("core.pulpexporter", "exporters/core/pulp/"),
    ("core.pulpimporter", "importers/core/pulp/"),
    ("core.rbaccontentguard", "contentguards/core/rbac/"),
    ("core.role", "roles/"),
    ("core.task", "tasks/"),
    ("core.taskgroup", "task-groups/"),
    ("core.taskschedule", "task-schedules/"),
    ("core.upload", "uploads/"),
    ("core.upstreampulp", "upstream-pulps/"),
    ("core.appstatus", "workers/"),
    ("core.vulnerabilityreport", "vuln_report/"),
    ("core.webhook", "webhooks/"),
    ("core.worker", "workers/"),
    ("certguard.rhsmcertguard", "contentguards/certguard/rhsm/"),
    ("certguard.x509certguard", "contentguards/certguard/x509/"),
    ("file.filealternatecontentsource", "acs/file/file/"),
    ("file.filecontent", "content/file/files/"),
    ("file.filedistribution", "distributions/file/file/"),
    ("file.filegitremote", "remotes/file/git/"),
    ("file.filepublication", "publications/file/file/"),
    ("file.fileremote", "remotes/file/file/"),
    ("file.filerepository", "repositories/file/file/"),
];

impl Prn {
    /// The path of the resource below the API root, if its model is known.
    pub(crate) fn path(&self) -> Option<String> {
        let (_, collection) = PATHS.iter().find(|(model, _)| *model == self.model)?;
        Some(format!("{collection}{}/", self.id))
    }
}

/// The model whose resources lie at the path: `remotes/file/git/` has `file.filegitremote`.
pub(crate) fn model_of(collection: &str) -> Option<&'static str> {
    PATHS.iter().find(|(_, path)| *path == collection).map(|(model, _)| *model)
}

impl FromStr for Prn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::usage(format!("'{text}' is not a valid PRN: it is written prn:APP.MODEL:ID"));
        let (model, id) = text.strip_prefix("prn:").and_then(|rest| rest.split_once(':')).ok_or_else(bad)?;
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let id_ok = !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        match model.split_once('.') {
            Some((app, name)) if word(app) && word(name) && id_ok => Ok(Self { model: model.to_owned(), id: id.to_owned() }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Prn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prn:{}:{}", self.model, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_prn_lies() {
        let prn: Prn = "prn:file.filegitremote:01a2-ff".parse().unwrap();
        assert_eq!(prn.path().unwrap(), "remotes/file/git/01a2-ff/");
        assert_eq!(prn.to_string(), "prn:file.filegitremote:01a2-ff");
        assert_eq!(model_of("remotes/file/git/"), Some("file.filegitremote"));
    }

    #[test]
    fn not_prns() {
        for text in ["prn:not:a:prn", "prn:file.x:../../users", "prn:file:01", "file.x:01", "prn:file.x:"] {
            assert!(text.parse::<Prn>().is_err(), "{text}");
        }
    }
}
