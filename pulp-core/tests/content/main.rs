//! Serving, as a client sees it, on both databases.

mod checkpoints;
mod elsewhere;
mod lazy;
mod listing;
mod published;
mod pull_through;
mod time_travel;
mod whole;
mod wire;
mod world;
