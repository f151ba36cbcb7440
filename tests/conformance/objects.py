"""A job worker on boto3: fetches its input, stores its outputs, and tries what it may not."""

import json
import os
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

URL, FOLDER, LENT = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])


def client(keys, config=None):
    return boto3.client(
        "s3",
        endpoint_url=URL,
        region_name="us-east-1",
        aws_access_key_id=keys["id"],
        aws_secret_access_key=keys["secret"],
        aws_session_token=keys.get("token"),
        config=config or Config(retries={"max_attempts": 1}),
    )


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (arguments, error.response)
        assert error.response["Error"]["Message"], error.response
        return
    raise AssertionError(f"not refused as {code}: {arguments}")


def content(answer):
    return answer["Body"].read()


worker = client(LENT["job"])
place = {"Bucket": "artifacts"}

# The input, whole, in part, and only if it is another one.
source = worker.get_object(**place, Key="shop/Source/1")
assert content(source) == b"made by a runner"
assert content(worker.get_object(**place, Key="shop/Source/1", Range="bytes=5-6")) == b"by"
assert content(worker.get_object(**place, Key="shop/Source/1", IfMatch=source["ETag"])) == b"made by a runner"
refused("304", worker.get_object, **place, Key="shop/Source/1", IfNoneMatch=source["ETag"])
refused("PreconditionFailed", worker.get_object, **place, Key="shop/Source/1", IfMatch='"other"')
refused("InvalidRange", worker.get_object, **place, Key="shop/Source/1", Range="bytes=99-")
worker.head_bucket(**place)

# Small outputs: every checksum that clients send, spaces and letters of the world.
for algorithm in ["CRC32", "SHA1", "SHA256", None]:
    extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    key = f"shop/Small/{algorithm}"
    put = worker.put_object(**place, Key=key, Body=b"small", ServerSideEncryption="aws:kms", **extra)
    assert put["ETag"] == '"eb5c1399a871211c7e7ed732d15e3a8b"', put
    assert content(worker.get_object(**place, Key=key)) == b"small"
unsigned = client(LENT["job"], Config(s3={"payload_signing_enabled": False}))
unsigned.put_object(**place, Key="shop/Small/ü +&=~", Body=b"")
assert worker.head_object(**place, Key="shop/Small/ü +&=~")["ContentLength"] == 0
refused("404", worker.head_object, **place, Key="shop/Small/never")
refused("NoSuchKey", worker.get_object, **place, Key="shop/Small/never")

# Written once; the same again is no mistake.
worker.put_object(**place, Key="shop/Small/SHA1", Body=b"small")
refused("PreconditionFailed", worker.put_object, **place, Key="shop/Small/SHA1", Body=b"other")
refused("PreconditionFailed", worker.put_object, **place, Key="shop/Small/SHA1", Body=b"longer than it")
refused("PreconditionFailed", worker.put_object, **place, Key="shop/Small/SHA1", Body=b"small", IfNoneMatch="*")
assert content(worker.get_object(**place, Key="shop/Small/SHA1")) == b"small"
refused("MethodNotAllowed", worker.delete_object, **place, Key="shop/Small/SHA1")
refused("BadDigest", worker.put_object, **place, Key="shop/Small/never", Body=b"x", ContentMD5="A" * 22 + "==")
refused("BadDigest", worker.put_object, **place, Key="shop/Small/never", Body=b"x", ChecksumCRC32="AAAAAA==")

# A large one in parts.
big, back = os.path.join(FOLDER, "big"), os.path.join(FOLDER, "back")
with open(big, "wb") as file:
    file.write(os.urandom(1 << 20) * 17 + b"end")
worker.upload_file(big, **place, Key="shop/Big/1", Config=TransferConfig(multipart_threshold=8 << 20))
assert worker.head_object(**place, Key="shop/Big/1")["ETag"].endswith('-3"')
worker.download_file(**place, Key="shop/Big/1", Filename=back)
assert open(big, "rb").read() == open(back, "rb").read()

# In parts by hand: small parts, wrong parts, parts that are given up.
upload = worker.create_multipart_upload(**place, Key="shop/Big/2")["UploadId"]
part = {**place, "Key": "shop/Big/2", "UploadId": upload}
tags = [worker.upload_part(**part, PartNumber=number, Body=b"tiny")["ETag"] for number in (1, 2)]
assert [part["Size"] for part in worker.list_parts(**part)["Parts"]] == [4, 4]
parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
refused("EntityTooSmall", worker.complete_multipart_upload, **part, MultipartUpload={"Parts": parts})
refused("InvalidPartOrder", worker.complete_multipart_upload, **part, MultipartUpload={"Parts": parts[::-1]})
wrong = [{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}]
refused("InvalidPart", worker.complete_multipart_upload, **part, MultipartUpload={"Parts": wrong})
done = worker.complete_multipart_upload(**part, MultipartUpload={"Parts": parts[:1]})
assert worker.complete_multipart_upload(**part, MultipartUpload={"Parts": parts[:1]})["ETag"] == done["ETag"]
assert content(worker.get_object(**place, Key="shop/Big/2")) == b"tiny"
upload = worker.create_multipart_upload(**place, Key="shop/Big/3")["UploadId"]
part = {**place, "Key": "shop/Big/3", "UploadId": upload}
worker.abort_multipart_upload(**part)
refused("NoSuchUpload", worker.upload_part, **part, PartNumber=1, Body=b"late")
refused("NoSuchUpload", worker.list_parts, **{**part, "UploadId": "../../artifacts"})

# What was not lent, was lent to others, or is lent no more.
for call in [worker.get_object, worker.head_object]:
    code = "403" if call == worker.head_object else "AccessDenied"
    refused(code, call, **place, Key="other/Source/1")
    refused(code, call, Bucket="elsewhere", Key="shop/Source/1")
refused("AccessDenied", worker.put_object, **place, Key="shop/Source/1", Body=b"no")
refused("AccessDenied", worker.put_object, **place, Key="other/Out/1", Body=b"no")
refused("AccessDenied", worker.create_multipart_upload, **place, Key="other/Out/1")
refused("AccessDenied", worker.list_objects_v2, **place, Prefix="other/")
refused("AccessDenied", worker.list_buckets)
refused("AccessDenied", client(LENT["other"]).get_object, **place, Key="shop/Source/1")
refused("ExpiredToken", client(LENT["expired"]).get_object, **place, Key="shop/Source/1")
fetch = {**place, "Key": "shop/Source/1"}
refused("SignatureDoesNotMatch", client({**LENT["job"], "secret": "guess"}).get_object, **fetch)
refused("InvalidToken", client({**LENT["job"], "token": LENT["other"]["token"]}).get_object, **fetch)
refused("InvalidToken", client({**LENT["job"], "token": "guess"}).get_object, **fetch)
refused("InvalidAccessKeyId", client({"id": LENT["job"]["id"], "secret": LENT["job"]["secret"]}).get_object, **fetch)

# A link that works without any key.
presigning = client(LENT["job"], Config(signature_version="s3v4"))
link = presigning.generate_presigned_url("get_object", Params=fetch, ExpiresIn=60)
assert urllib.request.urlopen(link).read() == b"made by a runner"
link = presigning.generate_presigned_url("put_object", Params={**place, "Key": "shop/Small/link"})
urllib.request.urlopen(urllib.request.Request(link, data=b"linked", method="PUT"))

# The owner reads and lists everything, page by page, and writes nothing.
owner = client(LENT["owner"])
assert content(owner.get_object(**place, Key="shop/Small/link")) == b"linked"
pages = owner.get_paginator("list_objects_v2").paginate(**place, Prefix="shop/", PaginationConfig={"PageSize": 3})
keys = [entry["Key"] for page in pages for entry in page["Contents"]]
assert keys == sorted(keys) and len(keys) == 9, keys
groups = owner.list_objects_v2(**place, Prefix="shop/", Delimiter="/")["CommonPrefixes"]
assert [group["Prefix"] for group in groups] == ["shop/Big/", "shop/Small/", "shop/Source/"], groups
assert [bucket["Name"] for bucket in owner.list_buckets()["Buckets"]] == ["artifacts"]
refused("AccessDenied", owner.put_object, **place, Key="shop/Small/own", Body=b"")
refused("NoSuchBucket", owner.list_objects_v2, Bucket="nowhere")
refused("NotImplemented", owner.get_object_tagging, **fetch)
hosted = boto3.client(
    "s3",
    endpoint_url=URL.replace("127.0.0.1", "localhost"),
    region_name="eu-west-1",
    aws_access_key_id=LENT["owner"]["id"],
    aws_secret_access_key=LENT["owner"]["secret"],
    config=Config(s3={"addressing_style": "path"}),
)
assert content(hosted.get_object(**fetch)) == b"made by a runner"
print("done")
