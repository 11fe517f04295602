//! Reading a stored file as a stream.

use std::{fs::File, io, ops::Range, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::super::{
    ArtifactPath, ByteStream, Result, StorageError,
    io::{blocking, read_at},
};

struct Reader {
    file: Arc<File>,
    at: ArtifactPath,
    rest: Range<u64>,
}

impl Reader {
    /// Opens the file and reads the first block, so that a small file costs one hop. Blocking.
    fn open(file: &std::path::Path, at: ArtifactPath, range: Option<Range<u64>>) -> Result<(Bytes, Self)> {
        let failed = |error| StorageError::at(&at, error);
        let file = File::open(file).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(StorageError::NotFound { path: at });
        }
        let size = metadata.len();
        let rest = range.unwrap_or(0..size);
        if rest.end > size || rest.start > rest.end {
            return Err(StorageError::OutOfRange { path: at, range: rest, size });
        }
        let mut reader = Self { file: Arc::new(file), at, rest };
        let first = reader.read()?;
        Ok((first, reader))
    }

    /// The next block; none at the end.
    fn read(&mut self) -> Result<Bytes> {
        let left = self.rest.end - self.rest.start;
        if left == 0 {
            return Ok(Bytes::new());
        }
        let block = read_at(&self.file, self.rest.start, left)
            .and_then(|block| {
                if block.is_empty() {
                    // Somebody cut the file: to end here would pass for its whole.
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(block)
            })
            .map_err(|error| StorageError::io(self.at.as_str(), error))?;
        self.rest.start += block.len() as u64;
        Ok(block)
    }
}

pub(super) async fn open(file: PathBuf, at: ArtifactPath, range: Option<Range<u64>>) -> Result<ByteStream> {
    let (first, reader) = blocking(move || Reader::open(&file, at, range)).await?;
    let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
    let others = stream::try_unfold(reader, |mut reader| async move {
        if reader.rest.is_empty() {
            return Ok(None);
        }
        blocking(move || {
            let block = reader.read()?;
            Ok(Some((block, reader)))
        })
        .await
    });
    Ok(first.chain(others).boxed())
}
