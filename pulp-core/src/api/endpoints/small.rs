//! What several end points need.

use crate::resource::{Filter, FilterKind, Lookup};

/// A filter of a text by equality.
pub(super) fn text(name: &'static str) -> Filter {
    Filter::new(name, FilterKind::Text, Lookup::EXACT)
}
