"""The emulator `ministack`, with eight things that AWS does and it does not.

- The front of a function URL with AWS_IAM tells the function who signed. Here the key is the name of a user.
  The signature is checked for keys that IAM made, and not for `test`, which is the account itself.
- Every request comes over TLS, as a bucket's policy may ask: loopback has none, so it is said to be.
- Word of an object on the bus names its version.
- A build that has ended says so on the default bus, with its environment, a moment after it was started, or after as
  many seconds as its variable BUILD_SECONDS says. (It succeeds, and builds nothing.)
- A build keeps the variables it was started with, and one that is started again with the same token is the same build.
- What was invoked, and for how long, is written to the file TOWPATH_TEST_INVOCATIONS, a line of JSON each: AWS writes
  that on the bill.
- Records of a change stream are gathered for as long as its mapping says, before a function is invoked with them.
- AWS's own services put events on the default bus, from sources that begin with `aws.` and are closed to everybody
  else. Here the tests do it for them.
"""

import contextvars
import functools
import json
import os
import re
import threading
import time

from ministack.app import main
from ministack.core import iam_evaluator
from ministack.services import codebuild, dynamodb, eventbridge, lambda_svc, s3

BUILD_SECONDS = 0.5

build_event = lambda_svc._build_function_url_event


@functools.wraps(build_event)
def with_caller(url_id, account_id, region, method, path, headers, *rest, **named):
    event = build_event(url_id, account_id, region, method, path, headers, *rest, **named)
    signed = re.search(r"Credential=([^/,\s]+)/", headers.get("authorization", ""))
    if signed and event["requestContext"]["accountId"] != "anonymous":
        key = signed.group(1)
        event["requestContext"]["authorizer"] = {
            "iam": {
                "accessKey": key,
                "accountId": account_id,
                "callerId": key,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": f"arn:aws:iam::{account_id}:user/{key}",
                "userId": key,
            }
        }
    return event


lambda_svc._build_function_url_event = with_caller
eventbridge._put_events = functools.partial(eventbridge._put_events, allow_aws_source=True)



class OverTls:
    """Where a request came from, over TLS."""

    def __init__(self, origin):
        self.origin = origin

    def get(self):
        address, _ = self.origin.get()
        return address, True

    def set(self, value):
        return self.origin.set(value)

    def reset(self, token):
        return self.origin.reset(token)


iam_evaluator._request_origin = OverTls(iam_evaluator._request_origin)

fire = s3._fire_s3_event
put = eventbridge._dispatch_event
told = threading.local()


@functools.wraps(fire)
def with_version(*args, version_id=None, **named):
    told.version = version_id
    try:
        return fire(*args, version_id=version_id, **named)
    finally:
        told.version = None


@functools.wraps(put)
def of_version(event, *rest, **named):
    version = getattr(told, "version", None)
    if version and event.get("Source") == "aws.s3":
        detail = json.loads(event["Detail"])
        detail["object"]["version-id"] = version
        event = {**event, "Detail": json.dumps(detail)}
    return put(event, *rest, **named)


s3._fire_s3_event = with_version
eventbridge._dispatch_event = of_version

start_build = codebuild._start_build
starting = threading.Lock()
begun = {}


@functools.wraps(start_build)
def with_news(data):
    with starting:
        token = data.get("idempotencyToken")
        if token in begun:
            return codebuild.json_response({"build": codebuild._builds[begun[token]]})
        answer = start_build(data)
        build = json.loads(answer[2]).get("build")
        if build and token:
            begun[token] = build["id"]
    if build:
        kept = codebuild._builds[build["id"]]
        given = (kept.get("environment") or {}).get("environmentVariables") or []
        variables = given + data.get("environmentVariablesOverride", [])
        kept["environment"] = {**(kept.get("environment") or {}), "environmentVariables": variables}
        context = contextvars.copy_context()
        said = [each["value"] for each in variables if each["name"] == "BUILD_SECONDS"]
        seconds = float(said[0]) if said else BUILD_SECONDS
        threading.Timer(seconds, context.run, [tell, build, variables]).start()
    return answer


def tell(build, variables):
    detail = {
        "build-status": build["buildStatus"],
        "project-name": build["projectName"],
        "build-id": build["arn"],
        "current-phase": "COMPLETED",
        "additional-information": {"environment": {"environment-variables": variables}},
        "version": "1",
    }
    entry = {
        "Source": "aws.codebuild",
        "DetailType": "CodeBuild Build State Change",
        "Detail": json.dumps(detail),
        "Resources": [build["arn"]],
    }
    eventbridge._put_events({"Entries": [entry]})


codebuild._start_build = with_news

mappings = lambda_svc._iter_all_esms
poll_streams = lambda_svc._poll_dynamodb_streams
gathering_since = {}


def gathered():
    """Mappings whose records have been gathered for long enough, or are as many as one invocation takes."""
    for account, region, mapping in mappings():
        if not gathers(mapping):
            yield account, region, mapping


def gathers(mapping):
    window = mapping.get("MaximumBatchingWindowInSeconds") or 0
    position = lambda_svc._dynamodb_stream_positions.get(mapping["UUID"])
    stream = re.search(r":table/([^/]+)/stream/", mapping.get("EventSourceArn", ""))
    if not (window and stream) or position is None:
        return False
    waiting = dynamodb.stream_end_position(stream.group(1)) - position
    if not 0 < waiting < mapping.get("BatchSize", 100):
        gathering_since.pop(mapping["UUID"], None)
        return False
    since = gathering_since.get(mapping["UUID"])
    if since is None:
        gathering_since[mapping["UUID"]] = time.monotonic()
        threading.Timer(window, lambda_svc._esm_wake.set).start()
        return True
    if time.monotonic() - since < window:
        return True
    del gathering_since[mapping["UUID"]]
    return False


@functools.wraps(poll_streams)
def with_window():
    lambda_svc._iter_all_esms = gathered
    try:
        return poll_streams()
    finally:
        lambda_svc._iter_all_esms = mappings


lambda_svc._poll_dynamodb_streams = with_window

dispatch = lambda_svc._execute_function_dispatch
writing = threading.Lock()


@functools.wraps(dispatch)
def with_bill(func, config, event, request_id, started):
    begun = time.time()
    result = dispatch(func, config, event, request_id, started)
    line = {
        "function": config.get("FunctionName", ""),
        "memory": config.get("MemorySize", 128),
        "begun": begun,
        "milliseconds": round((time.time() - begun) * 1000, 1),
        "failed": bool(result.get("error")) if isinstance(result, dict) else False,
        "error": error(result),
        "source": source(event),
        "log_bytes": len(result.get("log") or "") if isinstance(result, dict) else 0,
    }
    path = os.environ.get("TOWPATH_TEST_INVOCATIONS")
    if path:
        with writing, open(path, "a", encoding="utf-8") as bill:
            bill.write(json.dumps(line) + "\n")
    return result


def error(result):
    """What a function that failed says, or what is said of it."""
    body = result.get("body") if isinstance(result, dict) and result.get("error") else None
    return str(body.get("errorMessage", "")) if isinstance(body, dict) else ""


def source(event):
    if not isinstance(event, dict):
        return "?"
    if "Records" in event:
        return f"{len(event['Records'])} records"
    return event.get("detail-type") or event.get("routeKey") or "direct"


lambda_svc._execute_function_dispatch = with_bill

if __name__ == "__main__":
    main()
