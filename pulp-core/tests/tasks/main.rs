//! Tasks from dispatch to end, on both databases.

mod order;
mod processes;
mod run;
mod time;
mod world;
