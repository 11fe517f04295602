//! The real server from the outside, as many clients and other programs see it.

mod caching_proxy;
mod crowd;
mod wrong_file;
