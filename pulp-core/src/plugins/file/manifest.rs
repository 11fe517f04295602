//! `PULP_MANIFEST`: one line per file, `<relative_path>,<sha256>,<size>`.
//!
//! A path may hold commas: digest and size are split off from the right. Blank lines and lines that begin with `#` are passed over.
//! Lines end with a line feed, with or without a carriage return before it.

use std::fmt;
use std::io::{self, BufRead, Write};

use crate::prelude::Sha256;

/// The name that a manifest has unless it is told another.
pub const PULP_MANIFEST: &str = "PULP_MANIFEST";

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 16 * 1024;

/// The longest path, in bytes: what most systems can store.
pub const MAX_PATH: usize = 4 * 1024;

/// A file that a manifest lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path, below the directory of the manifest.
    pub relative_path: String,
    /// The file’s digest.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A line is not as it must be.
    #[error(
        "line {line} of the manifest {reason}. Each line must read <relative_path>,<sha256>,<size>; make sure that the remote's url points to such a manifest"
    )]
    Line {
        /// The line’s number, from 1.
        line: u64,
        /// What is wrong with it.
        reason: Fault,
    },
    /// The manifest could not be read.
    #[error("the manifest could not be read: {0}")]
    Read(#[from] io::Error),
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Longer than [`MAX_LINE`].
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// Not three fields.
    Fields,
    /// The second field is no sha256.
    Digest,
    /// The third field is no number of bytes.
    Size,
    /// The path is empty, or longer than [`MAX_PATH`].
    PathLength,
    /// The path begins with a slash.
    Absolute,
    /// A part of the path is empty, `.` or `..`.
    Climbs,
    /// The path holds a control character.
    Control,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "is longer than {MAX_LINE} bytes"),
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::Fields => f.write_str("does not have three fields"),
            Self::Digest => f.write_str("has no sha256 in its second field"),
            Self::Size => f.write_str("has no size in bytes in its third field"),
            Self::PathLength => write!(f, "has an empty path or one longer than {MAX_PATH} bytes"),
            Self::Absolute => f.write_str("has an absolute path"),
            Self::Climbs => f.write_str("has a path with an empty part, `.` or `..`"),
            Self::Control => f.write_str("has a path with a control character"),
        }
    }
}

/// Checks a path below a repository’s root: relative, canonical, printable.
///
/// # Errors
/// What is wrong with it.
pub fn check_path(path: &str) -> Result<(), Fault> {
    if path.is_empty() || path.len() > MAX_PATH {
        return Err(Fault::PathLength);
    }
    if path.starts_with('/') {
        return Err(Fault::Absolute);
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Fault::Climbs);
    }
    if path.chars().any(char::is_control) {
        return Err(Fault::Control);
    }
    Ok(())
}

/// Reads a manifest line by line, in bounded memory.
///
/// ```
/// use pulp_core::plugins::file::manifest::Reader;
///
/// let text = "a,b.iso,e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,0\n";
/// let entry = Reader::new(text.as_bytes()).next().unwrap().unwrap();
/// assert_eq!((entry.relative_path.as_str(), entry.size), ("a,b.iso", 0));
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    line: u64,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Of a manifest’s bytes.
    pub fn new(from: R) -> Self {
        Self { from, line: 0, buffer: Vec::new(), ended: false }
    }

    /// How many lines were read so far.
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// Reads the next line into the buffer, without its end. `false` at the end of the manifest.
    fn read_line(&mut self) -> Result<bool, ManifestError> {
        self.buffer.clear();
        loop {
            let available = match self.from.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if available.is_empty() {
                let any = !self.buffer.is_empty();
                self.line += u64::from(any);
                return Ok(any);
            }
            let end = memchr::memchr(b'\n', available);
            let taken = end.unwrap_or(available.len());
            if self.buffer.len() + taken > MAX_LINE {
                return Err(ManifestError::Line { line: self.line + 1, reason: Fault::TooLong });
            }
            self.buffer.extend_from_slice(available.get(..taken).unwrap_or_default());
            self.from.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                self.line += 1;
                return Ok(true);
            }
        }
    }

    fn read_entry(&mut self) -> Result<Option<Entry>, ManifestError> {
        while self.read_line()? {
            let line = std::str::from_utf8(&self.buffer).map_err(|_| Fault::NotUtf8);
            let entry = line.and_then(|line| match line.trim_end_matches('\r') {
                line if line.trim().is_empty() || line.starts_with('#') => Ok(None),
                line => parse(line).map(Some),
            });
            match entry {
                Ok(None) => {}
                Ok(entry) => return Ok(entry),
                Err(reason) => return Err(ManifestError::Line { line: self.line, reason }),
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, ManifestError>;

    /// The next entry. After an error or the end there is no other.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.read_entry().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}

fn parse(line: &str) -> Result<Entry, Fault> {
    let mut fields = line.rsplitn(3, ',');
    let (Some(size), Some(digest), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(Fault::Fields);
    };
    let sha256 = digest.trim().parse().map_err(|_| Fault::Digest)?;
    let size = size.trim();
    // `parse` alone would take a sign.
    if !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Size);
    }
    let size: u64 = size.parse().map_err(|_| Fault::Size)?;
    if i64::try_from(size).is_err() {
        return Err(Fault::Size);
    }
    check_path(path)?;
    Ok(Entry { relative_path: path.to_owned(), sha256, size })
}

/// Writes one line.
///
/// # Errors
/// What writing gives.
pub fn write_line(to: &mut impl Write, relative_path: &str, sha256: &str, size: u64) -> io::Result<()> {
    writeln!(to, "{relative_path},{sha256},{size}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn fault(text: impl AsRef<[u8]>) -> (u64, Fault) {
        match Reader::new(text.as_ref()).find_map(Result::err) {
            Some(ManifestError::Line { line, reason }) => (line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn odd_but_valid_lines_are_read() {
        let text = format!("\n# made by hand\na b.iso,{SHA},0\r\n  \nd/ü,\"%2f:.iso,{},12", SHA.to_uppercase());
        let entries: Vec<Entry> = Reader::new(text.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(entries[0].relative_path, "a b.iso");
        assert_eq!((entries[1].relative_path.as_str(), entries[1].size), ("d/ü,\"%2f:.iso", 12));
        assert_eq!(entries[1].sha256.to_string(), SHA);
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(fault(format!("a,{SHA},0\nhello\n")), (2, Fault::Fields));
        assert_eq!(fault(format!("a,{},0", &SHA[1..])), (1, Fault::Digest));
        for size in ["", "x", "-1", "+1", "1.0", "99999999999999999999", "9223372036854775808"] {
            assert_eq!(fault(format!("a,{SHA},{size}")), (1, Fault::Size), "{size}");
        }
        assert_eq!(fault(format!(",{SHA},1")), (1, Fault::PathLength));
        assert_eq!(fault(format!("{},{SHA},1", "a".repeat(MAX_PATH + 1))), (1, Fault::PathLength));
        assert_eq!(fault(format!("/etc/passwd,{SHA},1")), (1, Fault::Absolute));
        for path in ["../a", "a/../b", "a/..", "./a", "a//b", "a/"] {
            assert_eq!(fault(format!("{path},{SHA},1")), (1, Fault::Climbs), "{path}");
        }
        assert_eq!(fault(format!("a\u{7}b,{SHA},1")), (1, Fault::Control));
        assert_eq!(fault(b"\xff\xfe,x,1"), (1, Fault::NotUtf8));
    }

    #[test]
    fn an_endless_line_is_not_held_in_memory() {
        let endless = io::Read::take(io::repeat(b'x'), 64 << 20);
        let mut reader = Reader::new(io::BufReader::with_capacity(4096, endless));
        assert!(matches!(reader.next(), Some(Err(ManifestError::Line { line: 1, reason: Fault::TooLong }))));
        assert!(reader.buffer.capacity() <= 2 * MAX_LINE);
        assert!(reader.next().is_none(), "nothing comes after an error");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(path in "[a-zA-Zäß0-9 ,.%:\"]{1,20}(/[a-z,]{1,5}){0,3}", size in 0..i64::MAX as u64) {
            prop_assume!(check_path(&path).is_ok());
            let mut text = Vec::new();
            write_line(&mut text, &path, SHA, size).unwrap();
            let entry = Reader::new(text.as_slice()).next().unwrap().unwrap();
            prop_assert_eq!((entry.relative_path, entry.size), (path, size));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Reader::new(bytes.as_slice()).for_each(drop);
        }
    }
}
