//! Serving, as a client sees it, on both databases.

mod listing;
mod published;
mod wire;
mod world;
