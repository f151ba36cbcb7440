"""boto3 against `towpath up`: one pipeline from its creation to its end.

`tests/conformance/clients.rs` says what comes in the environment.
"""

import datetime
import json
import os
import pathlib
import time

import boto3
from botocore.exceptions import ClientError

# How often a state is looked at, and for how long, seconds.
LOOKS_MAX = 600
LOOK = 0.1

client = boto3.client("codepipeline", endpoint_url=os.environ["CLIENT_ENDPOINT"], region_name="us-east-1")


def refused(exception, call, **arguments):
    """The call is refused with this exception, as its own class and with words."""
    try:
        call(**arguments)
    except getattr(client.exceptions, exception) as error:
        assert error.response["Error"]["Code"] == exception, error.response
        assert error.response["Error"]["Message"], error.response
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error.response
        assert len(error.response["ResponseMetadata"]["RequestId"]) == 36, error.response
        return error.response["Error"]["Message"]
    except ClientError as error:
        raise AssertionError(f"{exception}, but {error}") from error
    raise AssertionError(f"not refused with {exception}")


def until(what, look):
    for _ in range(LOOKS_MAX):
        if seen := look():
            return seen
        time.sleep(LOOK)
    raise AssertionError(f"never seen: {what}")


def action(stage, index, status):
    def look():
        states = client.get_pipeline_state(name="shop")["stageStates"]
        actions = next(one for one in states if one["stageName"] == stage)["actionStates"]
        latest = actions[index].get("latestExecution", {})
        return latest if latest.get("status") == status else None

    return until(f"{stage}/{index} {status}", look)


def execution(run, status):
    def look():
        told = client.get_pipeline_execution(pipelineName="shop", pipelineExecutionId=run)["pipelineExecution"]
        return told if told["status"] == status else None

    return until(status, look)


def main():
    definition = json.loads(pathlib.Path(os.environ["CLIENT_DEFINITION"]).read_text(encoding="utf-8"))
    created = client.create_pipeline(**definition)
    assert created["pipeline"]["version"] == 1
    assert created["tags"] == sorted(definition["tags"], key=lambda tag: tag["key"]), created["tags"]
    refused("PipelineNameInUseException", client.create_pipeline, **definition)
    known = client.get_pipeline(name="shop")
    assert known["pipeline"] == created["pipeline"]
    assert isinstance(known["metadata"]["created"], datetime.datetime)
    refused("PipelineVersionNotFoundException", client.get_pipeline, name="shop", version=9)
    refused("ValidationException", client.get_pipeline, name="no/slash")

    # The execution that creating started waits for its approval; it is stopped there.
    action("Gate", 0, "InProgress")
    listed = client.list_pipeline_executions(pipelineName="shop")["pipelineExecutionSummaries"]
    first = {"pipelineName": "shop", "pipelineExecutionId": listed[0]["pipelineExecutionId"]}
    client.stop_pipeline_execution(**first, abandon=True, reason="not this one")
    execution(first["pipelineExecutionId"], "Stopped")
    refused("PipelineExecutionNotStoppableException", client.stop_pipeline_execution, **first)

    start = {"name": "shop", "variables": [{"name": "COLOUR", "value": "blue"}], "clientRequestToken": "only-once"}
    run = client.start_pipeline_execution(**start)["pipelineExecutionId"]
    assert client.start_pipeline_execution(**start)["pipelineExecutionId"] == run
    answer = {
        "pipelineName": "shop",
        "stageName": "Gate",
        "actionName": "Sign",
        "token": action("Gate", 0, "InProgress")["token"],
        "result": {"summary": "good", "status": "Approved"},
    }
    assert isinstance(client.put_approval_result(**answer)["approvedAt"], datetime.datetime)
    refused("ApprovalAlreadyCompletedException", client.put_approval_result, **answer)
    assert action("Live", 0, "Failed")["errorDetails"]["message"]
    pathlib.Path(os.environ["CLIENT_MARK"]).touch()
    retry = {"pipelineName": "shop", "stageName": "Live", "pipelineExecutionId": run, "retryMode": "FAILED_ACTIONS"}
    assert client.retry_stage_execution(**retry)["pipelineExecutionId"] == run
    assert execution(run, "Succeeded")["variables"] == [{"name": "COLOUR", "resolvedValue": "blue"}]

    pages = client.get_paginator("list_action_executions").paginate(
        pipelineName="shop", PaginationConfig={"PageSize": 2}
    )
    names = [one["actionName"] for page in pages for one in page["actionExecutionDetails"]]
    assert names == ["Ship", "Ship", "Sign", "Checkout", "Sign", "Checkout"], names
    pages = client.get_paginator("list_pipeline_executions").paginate(
        pipelineName="shop", PaginationConfig={"PageSize": 1}
    )
    runs = [one for page in pages for one in page["pipelineExecutionSummaries"]]
    assert [one["status"] for one in runs] == ["Succeeded", "Stopped"], runs
    assert runs[1]["stopTrigger"] == {"reason": "not this one"}, runs
    refused(
        "InvalidNextTokenException", client.list_pipeline_executions, pipelineName="shop", nextToken="garbled"
    )

    door = {"pipelineName": "shop", "stageName": "Live", "transitionType": "Inbound"}
    client.disable_stage_transition(**door, reason="freeze")
    state = client.get_pipeline_state(name="shop")["stageStates"][2]["inboundTransitionState"]
    assert state["enabled"] is False and state["disabledReason"] == "freeze", state
    assert isinstance(state["lastChangedAt"], datetime.datetime)
    client.enable_stage_transition(**door)
    assert client.update_pipeline(pipeline=known["pipeline"])["pipeline"]["version"] == 2
    listed = client.list_pipelines()["pipelines"]
    assert [(one["name"], one["version"]) for one in listed] == [("shop", 2)], listed

    for _ in range(2):
        client.delete_pipeline(name="shop")
    words = refused("PipelineNotFoundException", client.get_pipeline, name="shop")
    assert words == "Account '123456789012' does not have a pipeline with name 'shop'", words


main()
print("done")
