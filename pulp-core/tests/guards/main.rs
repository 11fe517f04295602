//! Who may read what: content guards; and what lies around them: alternate content sources, keyrings, signed addresses, signing services.

mod alternate;
mod artifacts;
mod certificates;
mod guards;
mod keyrings;
mod signing;
mod world;
