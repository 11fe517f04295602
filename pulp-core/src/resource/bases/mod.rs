//! The shapes that resources of all content types share: what every repository, remote, publication, distribution and
//! content unit has.

mod alternate;
mod compose;
mod content;
pub(crate) mod dependents;
mod distribution;
mod guard;
mod modify;
mod publication;
mod remote;
mod repository;

pub use alternate::{AlternatePath, Refresh};
pub use compose::compose;
pub(crate) use content::{VersionContent, members, minutes_ago};
pub use distribution::{publication, repository, repository_version};
pub use modify::modify;
pub(crate) use remote::{check_proxy, hidden_fields};
pub use remote::{network_fields, policy};

use super::{Field, Kind};

/// What every object has.
pub(crate) fn common() -> Vec<Field> {
    vec![
        Field::new("pulp_href", Kind::OwnHref).read_only().nowhere(),
        Field::new("prn", Kind::OwnPrn).read_only().nowhere().help("The Pulp Resource Name (PRN)."),
        Field::time("pulp_created").read_only().in_base().help("When the object was made."),
        Field::time("pulp_last_updated").read_only().in_base().help("When the object was last changed."),
    ]
}

/// The labels of an object.
pub(crate) fn labels() -> Field {
    Field::new("pulp_labels", Kind::Labels).in_base().help("Texts by key, for finding and grouping objects.")
}

/// The name of an object, unique in its domain.
pub(crate) fn name(help: &'static str) -> Field {
    Field::text("name").required().unique().in_base().help(help)
}
