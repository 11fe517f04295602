//! Arguments that name the one resource a command is about.

use serde_json::Value;

use crate::context::Context;
use crate::error::Result;
use crate::reference::Reference;
use crate::resource::Kind;

/// Arguments that name one resource.
pub(crate) trait Lookup {
    /// The href of the resource.
    ///
    /// # Errors
    /// When there is no such resource, or it is of another kind.
    async fn href(&self, cx: &Context, kind: &Kind) -> Result<String>;

    /// The resource.
    ///
    /// # Errors
    /// As [`Lookup::href`].
    async fn find(&self, cx: &Context, kind: &Kind) -> Result<Value>;
}

impl Lookup for Reference {
    async fn href(&self, cx: &Context, kind: &Kind) -> Result<String> {
        cx.href(kind, self).await
    }

    async fn find(&self, cx: &Context, kind: &Kind) -> Result<Value> {
        cx.find(kind, self).await
    }
}

/// Defines the arguments `--href`, `--name` and one called like the resource, of which exactly one must be given. The last
/// one may have a second name.
macro_rules! named_lookup {
    ($(#[$doc:meta])* $name:ident, $flag:literal, $href_alias:literal $(, $alias:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, clap::Args)]
        #[group(id = concat!("the ", $flag), required = true, multiple = false)]
        pub(crate) struct $name {
            #[arg(long, alias = $href_alias, help = concat!("Href or PRN of the ", $flag))]
            href: Option<String>,
            #[arg(long, help = concat!("Name of the ", $flag))]
            name: Option<String>,
            #[arg(id = $flag, long = $flag, $(visible_alias = $alias,)? value_name = "NAME|HREF|PRN", help = concat!("The ", $flag, " by name, href or PRN"))]
            any: Option<crate::reference::Reference>,
        }

        impl $name {
            /// What was given.
            pub(crate) fn reference(&self) -> crate::reference::Reference {
                use crate::reference::Reference;
                match (&self.href, &self.name, &self.any) {
                    (Some(href), ..) if href.starts_with("prn:") => Reference::Prn(href.clone()),
                    (Some(href), ..) => Reference::Href(href.clone()),
                    (_, Some(name), _) => Reference::Name(name.clone()),
                    (_, _, Some(any)) => any.clone(),
                    // The argument group sees to it that one is given.
                    (None, None, None) => Reference::Name(String::new()),
                }
            }
        }

        impl crate::lookup::Lookup for $name {
            async fn href(&self, cx: &crate::context::Context, kind: &crate::resource::Kind) -> crate::error::Result<String> {
                cx.href(kind, &self.reference()).await
            }

            async fn find(&self, cx: &crate::context::Context, kind: &crate::resource::Kind) -> crate::error::Result<serde_json::Value> {
                cx.find(kind, &self.reference()).await
            }
        }
    };
}

pub(crate) use named_lookup;

named_lookup!(
    /// Names a repository.
    RepositoryLookup, "repository", "repository-href"
);
named_lookup!(
    /// Names a remote.
    RemoteLookup, "remote", "remote-href"
);
named_lookup!(
    /// Names a distribution.
    DistributionLookup, "distribution", "distribution-href"
);

/// Names a resource that has no name: by its href or PRN.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct HrefLookup {
    /// Href or PRN
    #[arg(long)]
    href: String,
}

impl HrefLookup {
    fn reference(&self) -> Reference {
        match self.href.parse() {
            Ok(Reference::Name(text)) => Reference::Href(text),
            Ok(reference) => reference,
            Err(never) => match never {},
        }
    }
}

impl Lookup for HrefLookup {
    async fn href(&self, cx: &Context, kind: &Kind) -> Result<String> {
        cx.href(kind, &self.reference()).await
    }

    async fn find(&self, cx: &Context, kind: &Kind) -> Result<Value> {
        cx.find(kind, &self.reference()).await
    }
}

/// Names a resource by its UUID, href or PRN.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "which", required = true, multiple = false)]
pub(crate) struct UuidLookup {
    /// Href or PRN
    #[arg(long)]
    href: Option<String>,
    /// UUID
    #[arg(long, value_parser = uuid)]
    uuid: Option<String>,
}

impl UuidLookup {
    /// The lookup of a command that takes these arguments among others.
    pub(crate) fn of(href: Option<String>, uuid: Option<String>) -> Self {
        Self { href, uuid }
    }

    fn reference(&self, cx: &Context, kind: &Kind) -> Reference {
        match (&self.href, &self.uuid) {
            (Some(href), _) => HrefLookup { href: href.clone() }.reference(),
            (None, uuid) => {
                let uuid = uuid.as_deref().unwrap_or_default();
                Reference::Href(format!("{}{}{uuid}/", cx.client.api(), kind.path()))
            }
        }
    }
}

impl Lookup for UuidLookup {
    async fn href(&self, cx: &Context, kind: &Kind) -> Result<String> {
        cx.href(kind, &self.reference(cx, kind)).await
    }

    async fn find(&self, cx: &Context, kind: &Kind) -> Result<Value> {
        cx.find(kind, &self.reference(cx, kind)).await
    }
}

/// A UUID, or what could be one: hexadecimal digits and dashes.
pub(crate) fn uuid(text: &str) -> Result<String, String> {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    if digits == 32 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        Ok(text.to_owned())
    } else {
        Err("must be a UUID, 32 hexadecimal digits with dashes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_no_path() {
        assert!(uuid("01a202c1-dedb-737b-8c9f-717ea89b188a").is_ok());
        for text in ["", "../users/1", "01a202c1", "01a202c1-dedb-737b-8c9f-717ea89b188a/cancel"] {
            assert!(uuid(text).is_err(), "{text}");
        }
    }
}
