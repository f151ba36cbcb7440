//! The S3 source: an object's file in the folder that stands for its bucket. A folder keeps no versions, so the
//! content's digest is the version id.

use super::{
    configuration, disk,
    folder::{Hashing, hex},
    key, output, unavailable,
};
use crate::runners::{Site, bucket_folder, caps, object_path};
use engine::action::{ActionJob, Failure, SourceRevision, Success};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// Characters of the digest that serve as version id.
const VERSION_CHARS: usize = 32;

pub(super) async fn run(job: &ActionJob, site: &Site) -> Result<Success, Failure> {
    let (bucket, object) = (key(job, "S3Bucket")?, key(job, "S3ObjectKey")?);
    let out = output(job)?.location.clone();
    let folder = bucket_folder(site, bucket)?;
    let file = object_path(&folder, object)
        .ok_or_else(|| configuration(format!("`{object}` cannot be the key of an object.")))?;
    if !file.is_file() {
        return Err(unavailable(format!(
            "There is no object `{object}` in the bucket `{bucket}`: `{}` is not a file. Put it there, or name \
             another folder for the bucket under `[s3]` in towpath.toml.",
            file.display()
        )));
    }
    site.log.line(&format!("Taking `{}`", file.display()));
    let (store, caps, from) = (site.artifacts.clone(), caps(site), file.clone());
    let work = tokio::task::spawn_blocking(move || -> Result<String, (PathBuf, io::Error)> {
        let near = store.scratch().map_err(|error| (store.root().to_owned(), error))?;
        let digest = copy(&from, &near, caps.bytes).inspect_err(|_| {
            let _ = fs::remove_file(&near);
        });
        let digest = digest.map_err(|error| (from, error))?;
        store.put(&out, &near).map_err(|error| (near, error))?;
        Ok(digest)
    });
    let digest = match work.await {
        Ok(Ok(digest)) => digest,
        Ok(Err((path, error))) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(configuration(format!("`{}`: {error}", path.display())));
        }
        Ok(Err((path, error))) => return Err(disk(&path, error)),
        Err(panicked) => return Err(super::system(format!("copying broke off: {panicked}"))),
    };
    let version: String = digest.chars().take(VERSION_CHARS).collect();
    if let Some(asked) = job.revision.as_ref().filter(|asked| **asked != version) {
        return Err(unavailable(format!(
            "Version `{asked}` of `{object}` is not there: a folder keeps the newest only, which is `{version}`."
        )));
    }
    let summary = format!("Amazon S3 version id: {version}");
    let variables =
        [("BucketName", bucket), ("ObjectKey", object), ("VersionId", &version), ("ETag", &version)];
    Ok(Success {
        output_variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        summary: Some(summary.clone()),
        external_execution_id: Some(version.clone()),
        revision: Some(SourceRevision {
            action: job.action.clone(),
            revision_id: version,
            summary: Some(summary),
            url: None,
            change_id: None,
            created: None,
        }),
        ..Success::default()
    })
}

/// The version of an object as it lies there: the beginning of its content's digest.
pub(super) fn version(file: &Path) -> io::Result<String> {
    let (mut file, mut digest) = (File::open(file)?, Sha256::new());
    io::copy(&mut file, &mut Hashing(&mut digest))?;
    Ok(hex(&digest.finalize()).chars().take(VERSION_CHARS).collect())
}

/// Copies and takes the digest on the way.
fn copy(from: &Path, to: &Path, bytes_max: u64) -> io::Result<String> {
    let mut reader = File::open(from)?.take(bytes_max + 1);
    let (mut writer, mut digest) = (File::create_new(to)?, Sha256::new());
    let (mut buffer, mut total) = (vec![0; 64 << 10], 0);
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&digest.finalize()));
        }
        total += count as u64;
        if total > bytes_max {
            let message = format!("larger than {bytes_max} bytes, the limit of an artifact");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Hashing(&mut digest).write_all(&buffer[..count])?;
        writer.write_all(&buffer[..count])?;
    }
}
