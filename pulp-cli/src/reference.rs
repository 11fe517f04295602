//! How the user names a resource: by its name, its href or its PRN.

use std::convert::Infallible;
use std::str::FromStr;

use crate::client::is_slug;
use crate::error::{Error, Result};
use crate::resource::Kind;

/// The name, href or PRN of a resource whose kind is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// `/pulp/api/v3/…/`.
    Href(String),
    /// `prn:…`, not yet checked.
    Prn(String),
    /// Anything else; for what has no name, nothing.
    Name(String),
}

impl FromStr for Reference {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text.starts_with('/') {
            Self::Href(text.to_owned())
        } else if text.starts_with("prn:") {
            Self::Prn(text.to_owned())
        } else {
            Self::Name(text.to_owned())
        })
    }
}

/// The name, href or PRN of a resource that another one points to, whose type may differ:
/// `[[plugin:]type:]name`, where an empty plugin or type stands for the usual one, so that `::a:b` names `a:b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypedReference {
    /// The empty text: no resource, that is, remove the one there is.
    Nothing,
    /// An href, a PRN, or the name of a resource of the type.
    Typed { plugin: Option<String>, resource_type: Option<String>, reference: Reference },
}

impl FromStr for TypedReference {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text.is_empty() {
            return Ok(Self::Nothing);
        }
        let reference = match text.parse()? {
            Reference::Name(name) => name,
            reference => {
                return Ok(Self::Typed { plugin: None, resource_type: None, reference });
            }
        };
        let given = |part: &str| Some(part.to_owned()).filter(|part| !part.is_empty());
        let mut parts = reference.splitn(3, ':');
        let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let (plugin, resource_type, name) = match (second, third) {
            (Some(second), Some(third)) => (given(first), given(second), third),
            (Some(second), None) => (None, given(first), second),
            (None, _) => (None, None, first),
        };
        Ok(Self::Typed { plugin, resource_type, reference: Reference::Name(name.to_owned()) })
    }
}

/// What kinds of resource a reference may mean: the category in the path, and the plugin and type that go unsaid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Category {
    /// "repository": for messages.
    pub(crate) noun: &'static str,
    /// "repositories": the first segment of the path.
    pub(crate) path: &'static str,
    /// The plugin that is meant if none is named.
    pub(crate) plugin: Option<&'static str>,
    /// The type that is meant if none is named.
    pub(crate) resource_type: Option<&'static str>,
}

impl Category {
    /// Repositories of one plugin's main type, which is called like the plugin.
    pub(crate) const fn repositories(plugin: &'static str) -> Self {
        Self { noun: "repository", path: "repositories", plugin: Some(plugin), resource_type: Some(plugin) }
    }

    /// Remotes of one plugin's main type, which is called like the plugin.
    pub(crate) const fn remotes(plugin: &'static str) -> Self {
        Self { noun: "remote", path: "remotes", plugin: Some(plugin), resource_type: Some(plugin) }
    }

    /// Repositories of any plugin: the type must be said.
    pub(crate) const ANY_REPOSITORY: Self = Self { noun: "repository", path: "repositories", plugin: None, resource_type: None };

    /// Remotes of any plugin: the type must be said.
    pub(crate) const ANY_REMOTE: Self = Self { noun: "remote", path: "remotes", plugin: None, resource_type: None };

    /// Content guards: those of the core go without a plugin.
    pub(crate) const CONTENT_GUARDS: Self =
        Self { noun: "content guard", path: "contentguards", plugin: Some("core"), resource_type: None };

    /// The kind that plugin and type, as far as given, mean.
    ///
    /// # Errors
    /// When a part is missing that has no default, or is no path segment.
    pub(crate) fn kind(&self, plugin: Option<&str>, resource_type: Option<&str>) -> Result<Kind> {
        let written = || format!("a {} is named [[PLUGIN:]TYPE:]NAME here, or by its href or PRN", self.noun);
        let (Some(plugin), Some(resource_type)) = (plugin.or(self.plugin), resource_type.or(self.resource_type)) else {
            return Err(Error::usage(format!("the type of the {} must be said: {}", self.noun, written())));
        };
        for part in [plugin, resource_type] {
            if !is_slug(part) {
                return Err(Error::usage(format!("'{part}' is no type of a {}: {}", self.noun, written())));
            }
        }
        let noun =
            if plugin == resource_type { format!("{plugin} {}", self.noun) } else { format!("{plugin} {resource_type} {}", self.noun) };
        Ok(Kind::new(noun, format!("{}/{plugin}/{resource_type}/", self.path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> (Option<String>, Option<String>, String) {
        match text.parse().unwrap() {
            TypedReference::Typed { plugin, resource_type, reference: Reference::Name(name) } => (plugin, resource_type, name),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_with_and_without_a_type() {
        let s = |text: &str| Some(text.to_owned());
        assert_eq!(typed("foo"), (None, None, "foo".to_owned()));
        assert_eq!(typed("git:foo"), (None, s("git"), "foo".to_owned()));
        assert_eq!(typed("file:git:foo"), (s("file"), s("git"), "foo".to_owned()));
        assert_eq!(typed("::a:b:c"), (None, None, "a:b:c".to_owned()));
        assert_eq!(typed("file::a:b"), (s("file"), None, "a:b".to_owned()));
    }

    #[test]
    fn hrefs_and_prns_are_told_from_names() {
        assert_eq!("/pulp/x/".parse(), Ok(Reference::Href("/pulp/x/".to_owned())));
        assert_eq!("prn:a.b:1".parse(), Ok(Reference::Prn("prn:a.b:1".to_owned())));
        assert_eq!("".parse(), Ok(TypedReference::Nothing));
    }

    #[test]
    fn kinds_of_a_category() {
        let kind = Category::remotes("file").kind(None, Some("git")).unwrap();
        assert_eq!(kind.path(), "remotes/file/git/");
        assert!(Category::ANY_REPOSITORY.kind(None, None).is_err());
        assert!(Category::remotes("file").kind(Some(".."), None).is_err());
    }
}
