//! Moving content between Pulps: exports to a disk, archives, imports, replication.

mod archive;
mod damaged;
mod filesystem;
mod replicate;
mod world;
