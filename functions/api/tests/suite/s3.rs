//! S3: AWS's published examples of signatures, bodies in chunks however they are cut, and which call a request is.

use api::{
    s3::{
        Call, Query, S3Code, S3Error, Target,
        chunked::{Chunked, Trailers},
    },
    sigv4::s3::{Payload, verify},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use proptest::prelude::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SCOPE: &str = "20130524/us-east-1/s3/aws4_request";

/// A request of the examples in the S3 reference, "Authenticating Requests": 24 May 2013, one bucket.
fn example(method: &str, target: &str, headers: &[(&str, &str)], signature: &str) -> Request<()> {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.extend(["host".to_owned(), "x-amz-date".to_owned()]);
    names.sort();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/{SCOPE},SignedHeaders={},Signature={signature}",
        names.join(";")
    );
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("x-amz-date", "20130524T000000Z").header("authorization", authorization);
    request.header("host", "examplebucket.s3.amazonaws.com").body(()).unwrap()
}

fn check_at(request: &Request<()>, now: &str) -> Result<Payload, S3Error> {
    let query = Query::of(request.uri()).unwrap();
    let known = |key: &str, _: Option<&str>| match key {
        KEY => Ok((SECRET.to_owned(), ())),
        _ => Err(S3Error::new(S3Code::InvalidAccessKeyId, "unknown")),
    };
    verify(request, &query, now.parse().unwrap(), known).map(|(payload, ())| payload)
}

fn check(request: &Request<()>) -> Result<Payload, S3Error> {
    check_at(request, "2013-05-24T00:05:00Z")
}

#[test]
fn the_published_examples_verify() {
    let get = [("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY)];
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    assert!(
        matches!(check(&example("GET", "/test.txt", &get, signature)), Ok(Payload::Hash(hash)) if hash == EMPTY)
    );
    let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let put = [
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-content-sha256", hash),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ];
    let signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
    check(&example("PUT", "/test$file.text", &put, signature)).unwrap();
    let listed = [("x-amz-content-sha256", EMPTY)];
    let signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
    check(&example("GET", "/?lifecycle", &listed, signature)).unwrap();
    let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
    check(&example("GET", "/?max-keys=2&prefix=J", &listed, signature)).unwrap();
    let error = check(&example("GET", "/?max-keys=2&prefix=K", &listed, signature)).unwrap_err();
    assert_eq!(error.code, S3Code::SignatureDoesNotMatch);
}

#[test]
fn a_signature_is_refused_when_the_clocks_or_its_own_form_are_wrong() {
    let listed = [("x-amz-content-sha256", EMPTY)];
    let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
    let good = example("GET", "/?max-keys=2&prefix=J", &listed, signature);
    for late in ["2013-05-24T00:16:00Z", "2013-05-23T23:44:00Z"] {
        assert_eq!(check_at(&good, late).unwrap_err().code, S3Code::RequestTimeTooSkewed);
    }
    let mut added = good.clone();
    added.headers_mut().insert("x-amz-checksum-mode", "ENABLED".parse().unwrap());
    assert_eq!(check(&added).unwrap_err().code, S3Code::AuthorizationHeaderMalformed);
    let mut none = good.clone();
    none.headers_mut().remove("authorization");
    assert_eq!(check(&none).unwrap_err().code, S3Code::AccessDenied);
    let unhashed = example("GET", "/", &[], signature);
    assert_eq!(check(&unhashed).unwrap_err().code, S3Code::InvalidRequest);
}

fn presigned(expires: &str, signature: &str) -> Request<()> {
    let target = format!(
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY}%2F{}&X-Amz-Date=20130524T000000Z\
         &X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}",
        SCOPE.replace('/', "%2F")
    );
    Request::get(target).header("host", "examplebucket.s3.amazonaws.com").body(()).unwrap()
}

#[test]
fn a_presigned_url_holds_as_long_as_it_says() {
    let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let good = presigned("86400", signature);
    assert!(matches!(check(&good), Ok(Payload::Unsigned)));
    assert!(check_at(&good, "2013-05-24T23:59:00Z").is_ok());
    assert_eq!(check_at(&good, "2013-05-25T00:00:01Z").unwrap_err().code, S3Code::AccessDenied);
    assert_eq!(check_at(&good, "2013-05-23T23:00:00Z").unwrap_err().code, S3Code::AccessDenied);
    assert_eq!(check(&presigned("86401", signature)).unwrap_err().code, S3Code::SignatureDoesNotMatch);
    for never in ["0", "604801", "x"] {
        assert_eq!(
            check(&presigned(never, signature)).unwrap_err().code,
            S3Code::AuthorizationHeaderMalformed
        );
    }
    let mut added = good;
    added.headers_mut().insert("x-amz-meta-a", "b".parse().unwrap());
    assert_eq!(check(&added).unwrap_err().code, S3Code::AccessDenied);
}

/// The example of an upload in chunks: 65 KiB of `a`, in two chunks and an empty one.
fn chunked_example(trailer: bool) -> (Chunked, Vec<u8>) {
    let kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let common = [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "66560")];
    let mut headers = common.to_vec();
    headers.push(("x-amz-storage-class", "REDUCED_REDUNDANCY"));
    let (signature, signatures) = match trailer {
        false => {
            headers.extend([("x-amz-content-sha256", kind), ("content-length", "66824")]);
            (
                "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
                [
                    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
                ],
            )
        }
        true => {
            headers.extend([
                ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
                ("x-amz-trailer", "x-amz-checksum-crc32c"),
            ]);
            (
                "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
                [
                    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
                ],
            )
        }
    };
    let mut request = example("PUT", "/examplebucket/chunkObject.txt", &headers, signature);
    request.headers_mut().insert("host", "s3.amazonaws.com".parse().unwrap());
    let Payload::Chunked { signatures: Some(chain), has_trailer } = check(&request).unwrap() else {
        panic!("not in signed chunks");
    };
    assert_eq!(has_trailer, trailer);
    let mut body = Vec::new();
    for (size, signature) in [65536, 1024, 0].into_iter().zip(signatures) {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend_from_slice(&vec![b'a'; size]);
        if size > 0 {
            body.extend_from_slice(b"\r\n");
        }
    }
    if trailer {
        body.extend_from_slice(b"x-amz-checksum-crc32c:sOO8/Q==\r\n");
        body.extend_from_slice(
            b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
        );
    }
    body.extend_from_slice(b"\r\n");
    (Chunked::new(Some(chain), has_trailer), body)
}

fn read(mut chunked: Chunked, body: &[u8], cut: usize) -> Result<(usize, Trailers), S3Error> {
    let mut out = Vec::new();
    for piece in body.chunks(cut) {
        chunked.feed(Bytes::copy_from_slice(piece), &mut out)?;
    }
    let trailers = chunked.end()?;
    assert!(out.iter().all(|piece| piece.iter().all(|byte| *byte == b'a')));
    Ok((out.iter().map(Bytes::len).sum(), trailers))
}

#[test]
fn the_published_chunks_verify_however_they_are_cut() {
    for cut in [1, 7, 4096, 1 << 20] {
        let (chunked, body) = chunked_example(false);
        assert_eq!(read(chunked, &body, cut).unwrap(), (66560, Trailers::new()), "{cut}");
        let (chunked, body) = chunked_example(true);
        let trailers = vec![("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())];
        assert_eq!(read(chunked, &body, cut).unwrap(), (66560, trailers), "{cut}");
    }
}

#[test]
fn a_chunk_that_was_changed_cut_off_or_left_out_is_refused() {
    for trailer in [false, true] {
        let (_, good) = chunked_example(trailer);
        let code = |body: &[u8]| read(chunked_example(trailer).0, body, 1000).unwrap_err().code;
        let mut changed = good.clone();
        changed[66_000] = b'A';
        let (chunked, _) = chunked_example(trailer);
        let mut out = Vec::new();
        let refused = chunked_feed(chunked, &changed, &mut out).unwrap_err();
        assert!(matches!(refused.code, S3Code::SignatureDoesNotMatch | S3Code::IncompleteBody), "{refused}");
        for end in [0, 10, 100, 65_000, 65_700, good.len() - 200] {
            assert_eq!(code(&good[..end]), S3Code::IncompleteBody, "{end}");
        }
        let second = &good[good.len() - 1300..];
        assert!(read(chunked_example(trailer).0, second, 1000).is_err());
        let more = [good.as_slice(), b"0"].concat();
        assert_eq!(code(&more), S3Code::IncompleteBody);
    }
    let (_, body) = chunked_example(true);
    let text = String::from_utf8(body).unwrap().replace("sOO8/Q==", "sOO8/Q=A");
    let refused = read(chunked_example(true).0, text.as_bytes(), 1000).unwrap_err();
    assert_eq!(refused.code, S3Code::SignatureDoesNotMatch);
}

fn chunked_feed(mut chunked: Chunked, body: &[u8], out: &mut Vec<Bytes>) -> Result<Trailers, S3Error> {
    chunked.feed(Bytes::copy_from_slice(body), out)?;
    chunked.end()
}

#[test]
fn chunks_without_signatures_bring_their_trailer() {
    let body = b"3\r\naaa\r\n2;x=y\r\naa\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n";
    for cut in 1..body.len() {
        let (length, trailers) = read(Chunked::new(None, true), body, cut).unwrap();
        assert_eq!((length, trailers.len()), (5, 1));
        assert_eq!(trailers[0], ("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned()));
    }
    for broken in
        ["g\r\n", "-1\r\n", "3\r\naaaa\r\n", "3\naaa", "\r\n", "11111111111111111\r\n", "0\r\na: b\r\n\r\n"]
    {
        let refused = read(Chunked::new(None, false), broken.as_bytes(), 4).unwrap_err();
        assert_eq!(refused.code, S3Code::IncompleteBody, "{broken:?}");
    }
    let long = format!("0\r\n{}", "a".repeat(5000));
    assert_eq!(
        read(Chunked::new(None, true), long.as_bytes(), 100).unwrap_err().code,
        S3Code::IncompleteBody
    );
}

fn call(method: Method, target: &str) -> Result<(Target, Call), S3Error> {
    let uri = target.parse().unwrap();
    let headers = HeaderMap::new();
    let (target, query) = (Target::of(&uri, &headers)?, Query::of(&uri)?);
    let call = Call::of(&method, &target, &query, &headers)?;
    Ok((target, call))
}

#[test]
fn a_request_is_one_call_or_refused_by_name() {
    let called =
        |method: Method, target: &str| call(method, target).map(|(_, call)| call).map_err(|error| error.code);
    let id = || "u1".to_owned();
    assert_eq!(called(Method::GET, "/"), Ok(Call::ListBuckets));
    assert_eq!(called(Method::HEAD, "/b"), Ok(Call::HeadBucket));
    assert_eq!(called(Method::GET, "/b?location"), Ok(Call::GetBucketLocation));
    assert!(matches!(called(Method::GET, "/b/?list-type=2&prefix=a"), Ok(Call::ListObjects(_))));
    assert_eq!(called(Method::GET, "/b/k?versionId=null"), Ok(Call::GetObject));
    assert_eq!(called(Method::POST, "/b/k?uploads"), Ok(Call::CreateMultipartUpload));
    let part = Call::UploadPart { upload: id(), number: 7 };
    assert_eq!(called(Method::PUT, "/b/k?partNumber=7&uploadId=u1"), Ok(part));
    assert_eq!(called(Method::POST, "/b/k?uploadId=u1"), Ok(Call::CompleteMultipartUpload { upload: id() }));
    assert_eq!(called(Method::DELETE, "/b/k?uploadId=u1"), Ok(Call::AbortMultipartUpload { upload: id() }));
    assert_eq!(called(Method::DELETE, "/b/k"), Err(S3Code::MethodNotAllowed));
    assert_eq!(called(Method::DELETE, "/b"), Err(S3Code::MethodNotAllowed));
    assert_eq!(called(Method::PUT, "/b"), Err(S3Code::MethodNotAllowed));
    assert_eq!(called(Method::PUT, "/b/k?acl"), Err(S3Code::NotImplemented));
    assert_eq!(called(Method::POST, "/b?delete"), Err(S3Code::NotImplemented));
    assert_eq!(called(Method::PATCH, "/b/k"), Err(S3Code::NotImplemented));
    for number in ["0", "10001", "x", "-1"] {
        let target = format!("/b/k?uploadId=u1&partNumber={number}");
        assert_eq!(called(Method::PUT, &target), Err(S3Code::InvalidArgument), "{number}");
    }
    assert_eq!(called(Method::GET, "/b/%ff"), Err(S3Code::InvalidURI));
}

#[test]
fn a_bucket_stands_in_the_path_or_in_the_host() {
    let at = |host: &str, path: &str| {
        let headers = [(http::header::HOST, host.parse().unwrap())].into_iter().collect();
        let target = Target::of(&path.parse().unwrap(), &headers).unwrap();
        (target.bucket, target.key)
    };
    let expected = |bucket: &str, key: &str| (bucket.to_owned(), key.to_owned());
    assert_eq!(at("127.0.0.1:4500", "/b/k/l%20m"), expected("b", "k/l m"));
    assert_eq!(at("localhost:4500", "/b/k"), expected("b", "k"));
    assert_eq!(at("s3.localhost:4500", "/b/k"), expected("b", "k"));
    assert_eq!(at("b.localhost:4500", "/k/l"), expected("b", "k/l"));
    assert_eq!(at("b.c.s3.localhost", "/k"), expected("b.c", "k"));
    assert_eq!(at("localhost", "/b%2Fc/../k"), expected("b/c", "../k"));
}

proptest! {
    #[test]
    fn no_body_breaks_the_reader_of_chunks(body: Vec<u8>, cut in 1usize..40, trailer: bool) {
        let mut chunked = Chunked::new(None, trailer);
        let mut out = Vec::new();
        let whole = body.chunks(cut).try_for_each(|piece| chunked.feed(Bytes::copy_from_slice(piece), &mut out));
        prop_assert!(out.iter().map(Bytes::len).sum::<usize>() <= body.len());
        drop(whole.and_then(|()| chunked.end().map(drop)));
    }

    #[test]
    fn no_document_breaks_the_reader_of_parts(text in "[<>/a-zA-Z&;\"=? ]{0,60}") {
        drop(api::s3::xml::named_parts(text.as_bytes()));
        let inside = format!("<CompleteMultipartUpload>{text}</CompleteMultipartUpload>");
        drop(api::s3::xml::named_parts(inside.as_bytes()));
    }
}
