//! What lies in the store, for its owner.

use super::{Admitted, Objects, blocking, disk, document};
use api::{
    s3::{Listing, S3Error, xml::Document},
    sigv4::percent_encoded,
};
use axum::{body::Body, http::Response};
use local::artifacts::{Entry, Wanted};
use std::time::SystemTime;

impl Objects {
    /// `ListBuckets`.
    pub(super) async fn list_buckets(&self) -> Result<Response<Body>, S3Error> {
        let store = self.store.clone();
        let buckets = blocking(move || store.buckets().map_err(disk)).await?;
        let mut answer = Document::new("ListAllMyBucketsResult");
        answer.open("Buckets");
        for (name, made) in buckets {
            answer.group("Bucket", &[("Name", &name), ("CreationDate", &date(made))]);
        }
        answer.close("Buckets");
        Ok(document(answer))
    }

    /// `ListObjectsV2`, and the version before it.
    pub(super) async fn list_objects(
        &self,
        admitted: &Admitted,
        listing: Listing,
    ) -> Result<Response<Body>, S3Error> {
        let (store, bucket) = (self.store.clone(), admitted.target.bucket.clone());
        let Listing { prefix, grouped, after, max, encoded, first_version } = listing;
        let (wanted_prefix, wanted_after) = (prefix.clone(), after.clone());
        let list = move || {
            let wanted = Wanted { prefix: &wanted_prefix, after: &wanted_after, grouped, max };
            store.list(&bucket, &wanted).map_err(disk)
        };
        let page = blocking(list).await?;
        let shown = |name: &str| if encoded { percent_encoded(name) } else { name.to_owned() };
        let mut answer = Document::new("ListBucketResult")
            .with("Name", &admitted.target.bucket)
            .with("Prefix", shown(&prefix))
            .with("MaxKeys", max)
            .with("IsTruncated", page.more);
        if grouped {
            answer.add("Delimiter", "/");
        }
        if encoded {
            answer.add("EncodingType", "url");
        }
        let last = page.entries.last().filter(|_| page.more).map(Entry::name);
        if first_version {
            answer.add("Marker", shown(&after));
            last.into_iter().for_each(|last| answer.add("NextMarker", shown(last)));
        } else {
            answer.add("KeyCount", page.entries.len());
            last.into_iter().for_each(|last| answer.add("NextContinuationToken", last));
        }
        for entry in &page.entries {
            match entry {
                Entry::Group(name) => answer.group("CommonPrefixes", &[("Prefix", &shown(name))]),
                Entry::Object { key, length, modified, etag } => answer.group(
                    "Contents",
                    &[
                        ("Key", &shown(key)),
                        ("LastModified", &date(*modified)),
                        ("ETag", &format!("\"{etag}\"")),
                        ("Size", &length.to_string()),
                        ("StorageClass", "STANDARD"),
                    ],
                ),
            }
        }
        Ok(document(answer))
    }
}

fn date(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}
