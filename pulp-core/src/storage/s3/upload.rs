//! Bringing a spooled file into the bucket.

use std::{fs::File, io, ops::Range, sync::Arc};

use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload, path::Path};
use tokio::task::{JoinError, JoinSet};

use super::{
    super::{
        ArtifactPath, Result, Spooled, StorageError,
        io::{blocking, read_at},
    },
    S3Storage, failed,
};

/// S3 takes no more parts than this for one object.
const MOST_PARTS: u64 = 10_000;
/// Parts of one file that are sent side by side.
const PARTS_OF_ONE: usize = 4;

pub(super) async fn upload(storage: &S3Storage, file: &Spooled, to: &ArtifactPath) -> Result<()> {
    let key = storage.key(to)?;
    let source = Arc::new(file.open().await?);
    if file.size() > storage.part_size {
        return in_parts(storage, source, file.size(), &key, to).await;
    }
    let _permit = permit(storage).await?;
    let payload = read(source, 0..file.size()).await?;
    let put = storage.store.put(&key, payload).await;
    put.map(drop).map_err(|error| failed(to.as_str(), error))
}

async fn in_parts(storage: &S3Storage, source: Arc<File>, size: u64, key: &Path, to: &ArtifactPath) -> Result<()> {
    let failed = |error| failed(to.as_str(), error);
    let begun = storage.store.put_multipart(key).await.map_err(failed)?;
    let mut upload = Abort(Some(begun));
    let part = storage.part_size.max(size.div_ceil(MOST_PARTS));
    // Tasks, since a part that waits for nobody to poll it would keep its permit from other files.
    let mut sending = JoinSet::new();
    let mut start = 0;
    while start < size {
        let permit = permit(storage).await?;
        let end = size.min(start + part);
        let payload = read(Arc::clone(&source), start..end).await?;
        if sending.len() == PARTS_OF_ONE {
            sent(sending.join_next().await, to)?;
        }
        if let Some(upload) = &mut upload.0 {
            // The number of a part is that of its call, so the calls are made in order.
            let part = upload.put_part(payload);
            sending.spawn(async move {
                let _permit = permit;
                part.await
            });
        }
        start = end;
    }
    while let Some(part) = sending.join_next().await {
        sent(Some(part), to)?;
    }
    if let Some(complete) = &mut upload.0 {
        complete.complete().await.map_err(failed)?;
        // Nothing is left to abort.
        upload.0 = None;
    }
    Ok(())
}

fn sent(part: Option<Result<object_store::Result<()>, JoinError>>, to: &ArtifactPath) -> Result<()> {
    match part {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => Err(failed(to.as_str(), error)),
        Some(Err(error)) => Err(StorageError::io(to.as_str(), io::Error::other(error))),
    }
}

/// Waits for room for one more part in memory.
async fn permit(storage: &S3Storage) -> Result<tokio::sync::OwnedSemaphorePermit> {
    Arc::clone(&storage.parts).acquire_owned().await.map_err(|_| StorageError::Interrupted)
}

/// Reads a part of the file into memory.
async fn read(file: Arc<File>, range: Range<u64>) -> Result<PutPayload> {
    blocking(move || {
        let lost = |error| StorageError::io("a spooled file", error);
        let (mut blocks, mut at) = (Vec::new(), range.start);
        while at < range.end {
            let block = read_at(&file, at, range.end - at).map_err(lost)?;
            if block.is_empty() {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
            at += block.len() as u64;
            blocks.push(block);
        }
        Ok(blocks.into_iter().collect())
    })
    .await
}

/// An upload that is given up unless it completes: the store keeps, and charges for, its parts otherwise.
struct Abort(Option<Box<dyn MultipartUpload>>);

impl Drop for Abort {
    fn drop(&mut self) {
        let Some(mut upload) = self.0.take() else {
            return;
        };
        // In a runtime that is going down nothing can be sent any more; a rule of the bucket has to clear up then.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "an incomplete upload could not be aborted");
                }
            });
        }
    }
}
