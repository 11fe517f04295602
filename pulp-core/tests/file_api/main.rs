//! The file content type over HTTP: content from anywhere, modify, sync, publish, distribute, fetch.

mod compose;
mod deleted_remotes;
mod git;
mod litter;
mod orphans;
mod pages;
mod repair;
mod scrub;
mod versions;
mod workflow;
mod world;
mod wrong_ids;
