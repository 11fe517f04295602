//! Fetching, against an upstream that misbehaves as planned.

mod fetch;
mod http;
mod partial;
mod save;
mod seeded;
mod world;
