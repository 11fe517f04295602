//! Bad days of the real server, as a process of its own: killed, stopped, without room, without its database.

mod database_away;
mod full_disk;
mod killed;
mod moments;
mod requests;
mod stopped;
mod world;
