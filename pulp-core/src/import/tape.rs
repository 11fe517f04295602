//! Going through a tar file: its members by name and place, without reading them.

use std::io;

use super::source::Parts;
use crate::{Error, Result};

/// The longest extended header, in bytes: it holds a name and little more.
const MOST_EXTENDED: u64 = 64 << 10;

const BLOCK: u64 = 512;

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where its bytes begin.
    pub(super) at: u64,
    pub(super) size: u64,
}

/// Calls `each` for every regular file of an archive, in order. What is no file (a directory, a link) is passed over. Blocks.
///
/// # Errors
/// [`Error::BadRequest`] if it is no tar file or is cut off; whatever `each` gives.
pub(super) fn members(parts: &Parts, mut each: impl FnMut(Member) -> Result<()>) -> Result<()> {
    let mut at = 0_u64;
    let mut long: Option<String> = None;
    let mut size_said: Option<u64> = None;
    loop {
        let mut block = [0_u8; BLOCK as usize];
        if parts.read_at(&mut block, at).map_err(unreadable)? < block.len() {
            return Err(bad("it is cut off, or no tar file"));
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let header = tar::Header::from_byte_slice(&block);
        if !is_sound(header) {
            return Err(bad(&format!("there is no header at byte {at}")));
        }
        let kind = header.entry_type();
        let size = header.entry_size().map_err(|_| bad(&format!("the size at byte {at} is none")))?;
        let size = if kind.is_file() { size_said.take().unwrap_or(size) } else { size };
        let start = at + BLOCK;
        let end = size.div_ceil(BLOCK).checked_mul(BLOCK).and_then(|padded| start.checked_add(padded));
        let end = end.filter(|_| start.checked_add(size).is_some_and(|end| end <= parts.size()));
        let end = end.ok_or_else(|| bad(&format!("the file at byte {at} is larger than the archive")))?;
        if kind.is_pax_local_extensions() || kind.is_gnu_longname() {
            let text = extended(parts, start, size)?;
            if kind.is_gnu_longname() {
                long = Some(name_of(&text)?);
            } else {
                for record in tar::PaxExtensions::new(&text) {
                    let record = record.map_err(|_| bad(&format!("the extended header at byte {at} cannot be read")))?;
                    match record.key_bytes() {
                        b"path" => long = Some(name_of(record.value_bytes())?),
                        b"size" => {
                            let size = record.value().ok().and_then(|text| text.parse().ok());
                            size_said = Some(size.ok_or_else(|| bad(&format!("the size at byte {at} is none")))?);
                        }
                        _ => {}
                    }
                }
            }
        } else {
            let name = match long.take() {
                Some(name) => name,
                None => name_of(&header.path_bytes())?,
            };
            if kind.is_file() {
                each(Member { name, at: start, size })?;
            }
            size_said = None;
        }
        at = end;
    }
}

fn extended(parts: &Parts, at: u64, size: u64) -> Result<Vec<u8>> {
    if size > MOST_EXTENDED {
        return Err(bad(&format!("an extended header has more than {MOST_EXTENDED} bytes")));
    }
    let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
    let read = parts.read_at(&mut text, at).map_err(unreadable)?;
    if read < text.len() { Err(bad("it is cut off")) } else { Ok(text) }
}

fn name_of(bytes: &[u8]) -> Result<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| bad("a name in it is no UTF-8"))
}

/// Whether a header has the checksum that it says.
fn is_sound(header: &tar::Header) -> bool {
    let bytes = header.as_bytes();
    let sum: u32 = bytes.iter().enumerate().map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte })).sum();
    header.cksum().is_ok_and(|said| said == sum)
}

/// What an archive is that cannot be one of Pulp’s.
pub(super) fn bad(reason: &str) -> Error {
    Error::BadRequest(format!("the archive cannot be read: {reason}"))
}

pub(super) fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => bad("it is cut off"),
        _ => Error::io("an archive", error),
    }
}
