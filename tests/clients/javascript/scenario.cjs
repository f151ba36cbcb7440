// The JavaScript SDK against `towpath up`: one pipeline from its creation to its end. `tests/conformance/clients.rs`
// says what comes in the environment.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const sdk = require("@aws-sdk/client-codepipeline");

const { CLIENT_ENDPOINT: endpoint, CLIENT_DEFINITION: file, CLIENT_MARK: mark } = process.env;
const client = new sdk.CodePipeline({ endpoint, region: "us-east-1" });

// How often a state is looked at, and for how long, milliseconds.
const LOOKS_MAX = 600;
const LOOK = 100;

async function refused(call, exception) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof sdk[exception], `${exception}, but ${error.name}: ${error.message}`);
    assert.ok(error instanceof sdk.CodePipelineServiceException);
    assert.equal(error.$fault, "client");
    assert.ok(error.message.length > 0 && error.$metadata.requestId.length === 36);
    return true;
  });
}

async function until(what, look) {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const seen = await look();
    if (seen) return seen;
    await sleep(LOOK);
  }
  throw new Error(`never seen: ${what}`);
}

const action = (stage, index, status) =>
  until(`${stage}/${index} ${status}`, async () => {
    const { stageStates } = await client.getPipelineState({ name: "shop" });
    const found = stageStates.find((one) => one.stageName === stage).actionStates[index].latestExecution;
    return found?.status === status && found;
  });

const execution = (pipelineExecutionId, status) =>
  until(status, async () => {
    const told = await client.getPipelineExecution({ pipelineName: "shop", pipelineExecutionId });
    return told.pipelineExecution.status === status && told.pipelineExecution;
  });

async function main() {
  const definition = JSON.parse(fs.readFileSync(file, "utf8"));
  const created = await client.createPipeline(definition);
  assert.equal(created.pipeline.version, 1);
  assert.deepEqual(created.tags, [...definition.tags].sort((one, other) => (one.key < other.key ? -1 : 1)));
  await refused(client.createPipeline(definition), "PipelineNameInUseException");
  const known = await client.getPipeline({ name: "shop" });
  assert.deepEqual(known.pipeline, created.pipeline);
  assert.ok(known.metadata.created instanceof Date && Date.now() - known.metadata.created < 60_000);
  await refused(client.getPipeline({ name: "shop", version: 9 }), "PipelineVersionNotFoundException");
  await refused(client.getPipeline({ name: "no/slash" }), "ValidationException");

  // The execution that creating started waits for its approval; it is stopped there.
  await action("Gate", 0, "InProgress");
  const listed = await client.listPipelineExecutions({ pipelineName: "shop" });
  const first = { pipelineName: "shop", ...pick(listed.pipelineExecutionSummaries[0], "pipelineExecutionId") };
  await client.stopPipelineExecution({ ...first, abandon: true, reason: "not this one" });
  await execution(first.pipelineExecutionId, "Stopped");
  await refused(client.stopPipelineExecution(first), "PipelineExecutionNotStoppableException");

  const start = { name: "shop", variables: [{ name: "COLOUR", value: "blue" }], clientRequestToken: "only-once" };
  const { pipelineExecutionId } = await client.startPipelineExecution(start);
  assert.equal((await client.startPipelineExecution(start)).pipelineExecutionId, pipelineExecutionId);
  const { token } = await action("Gate", 0, "InProgress");
  const answer = { pipelineName: "shop", stageName: "Gate", actionName: "Sign", token };
  answer.result = { summary: "good", status: "Approved" };
  assert.ok((await client.putApprovalResult(answer)).approvedAt instanceof Date);
  await refused(client.putApprovalResult(answer), "ApprovalAlreadyCompletedException");
  const failed = await action("Live", 0, "Failed");
  assert.ok(failed.errorDetails.message.length > 0);
  fs.writeFileSync(mark, "");
  const retry = { pipelineName: "shop", stageName: "Live", pipelineExecutionId, retryMode: "FAILED_ACTIONS" };
  assert.equal((await client.retryStageExecution(retry)).pipelineExecutionId, pipelineExecutionId);
  const done = await execution(pipelineExecutionId, "Succeeded");
  assert.deepEqual(done.variables, [{ name: "COLOUR", resolvedValue: "blue" }]);

  const names = [];
  for await (const page of sdk.paginateListActionExecutions({ client, pageSize: 2 }, { pipelineName: "shop" })) {
    assert.ok(page.actionExecutionDetails.length <= 2);
    names.push(...page.actionExecutionDetails.map((one) => one.actionName));
  }
  assert.deepEqual(names, ["Ship", "Ship", "Sign", "Checkout", "Sign", "Checkout"]);
  const runs = [];
  for await (const page of sdk.paginateListPipelineExecutions({ client, pageSize: 1 }, { pipelineName: "shop" })) {
    runs.push(...page.pipelineExecutionSummaries);
  }
  assert.deepEqual(runs.map((one) => one.status), ["Succeeded", "Stopped"]);
  assert.equal(runs[1].stopTrigger.reason, "not this one");
  const foreign = { pipelineName: "shop", nextToken: "garbled" };
  await refused(client.listPipelineExecutions(foreign), "InvalidNextTokenException");

  const door = { pipelineName: "shop", stageName: "Live", transitionType: "Inbound" };
  await client.disableStageTransition({ ...door, reason: "freeze" });
  const { stageStates } = await client.getPipelineState({ name: "shop" });
  const { enabled, disabledReason, lastChangedAt } = stageStates[2].inboundTransitionState;
  assert.deepEqual([enabled, disabledReason], [false, "freeze"]);
  assert.ok(lastChangedAt instanceof Date);
  await client.enableStageTransition(door);
  assert.equal((await client.updatePipeline({ pipeline: known.pipeline })).pipeline.version, 2);
  const { pipelines } = await client.listPipelines({});
  assert.deepEqual(pick(pipelines[0], "name", "version"), { name: "shop", version: 2 });

  await client.deletePipeline({ name: "shop" });
  await client.deletePipeline({ name: "shop" });
  await refused(client.getPipeline({ name: "shop" }), "PipelineNotFoundException");
}

function pick(object, ...names) {
  return Object.fromEntries(names.map((name) => [name, object[name]]));
}

main().then(() => console.log("done"));
