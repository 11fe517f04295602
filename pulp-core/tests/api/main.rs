//! The REST API, called in process, on both databases; through a plugin that the tests bring along.

mod access;
mod artifacts;
mod audit;
mod content;
mod costs;
mod crawler;
mod domains;
mod events;
mod filters;
mod junk;
mod lists;
mod looks;
mod naming;
mod objects;
mod oidc;
mod permissions;
mod rotation;
mod schedules;
mod tasks;
mod tokens;
mod uploads;
mod validation;
mod vulnerabilities;
mod webhooks;
mod world;
