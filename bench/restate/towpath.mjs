// `towpath up`, and how it is asked to run steps: through the API, as any client would.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ANSWER_MS_MAX, inParallel, residentMib, startServer, stopServer } from './processes.mjs';
import { signed } from './sigv4.mjs';
import { COMMAND } from './step.mjs';

const KEY = 'BENCHKEY';
const SECRET = 'a-secret-for-this-run-alone';
const REGION = 'us-east-1';
/** How often we look which executions have ended, ms. Their ends are read from their own timestamps. */
const POLL_MS = 100;
/** How long one execution may take, ms. */
const EXECUTION_MS_MAX = 60_000;
/** Pipelines that share the load. */
const LOAD_PIPELINES = 10;
/** Executions in one answer of ListPipelineExecutions, most. */
const PAGE = 100;

/** Starts a server with an empty state in `folder`, and pipelines of so many steps. */
export async function startTowpath(program, folder, { sequential, load }) {
  mkdirSync(join(folder, 'one-file'));
  writeFileSync(join(folder, 'one-file', 'readme.txt'), 'one file\n');
  writeFileSync(join(folder, 'towpath.toml'), '[sources]\nCheckout = "one-file"\n');
  const server = await startServer(
    program,
    ['up', '--port', '0', '--dir', join(folder, 'state'), '--settings', join(folder, 'towpath.toml'),
      '--region', REGION],
    {
      log: join(folder, 'towpath.log'),
      cwd: folder,
      env: { TOWPATH_CREDENTIALS: `${KEY}:${SECRET}` },
      ready: async (said) => /ready: (http:\S+)/.exec(said)?.[1],
    },
  );
  const towpath = new Towpath(server);
  for (const steps of sequential) await towpath.create(sequentialName(steps), steps);
  for (const name of loadNames) await towpath.create(name, load);
  return towpath;
}

const sequentialName = (steps) => `sequential-${steps}`;
const loadNames = Array.from({ length: LOAD_PIPELINES }, (_, number) => `load-${number}`);

const type = (category, provider) => ({ category, owner: 'AWS', provider, version: '1' });

function pipeline(name, steps) {
  const source = {
    name: 'Checkout',
    actionTypeId: type('Source', 'CodeStarSourceConnection'),
    configuration: {
      ConnectionArn: 'arn:aws:codestar-connections:us-east-1:123456789012:connection/11111111-2222-3333-4444-555555555555',
      FullRepositoryId: 'acme/bench',
      BranchName: 'main',
    },
    outputArtifacts: [{ name: 'Code' }],
  };
  const actions = Array.from({ length: steps }, (_, index) => ({
    name: `Step${index + 1}`,
    actionTypeId: type('Compute', 'Commands'),
    commands: [COMMAND],
    inputArtifacts: [{ name: 'Code' }],
    runOrder: index + 1,
  }));
  return {
    name,
    roleArn: 'arn:aws:iam::123456789012:role/bench',
    pipelineType: 'V2',
    executionMode: 'PARALLEL',
    artifactStore: { type: 'S3', location: 'bench-artifacts' },
    stages: [
      { name: 'Source', actions: [source] },
      { name: 'Steps', actions },
    ],
  };
}

class Towpath {
  constructor(server) {
    this.server = server;
    this.address = server.ready;
    /** Pipeline -> execution -> what waits for its end. */
    this.waiting = new Map();
    this.looking = false;
  }

  async call(operation, input) {
    const body = JSON.stringify(input);
    const headers = signed({
      host: new URL(this.address).host,
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `CodePipeline_20150709.${operation}`,
      },
      body,
      key: KEY,
      secret: SECRET,
      region: REGION,
      service: 'codepipeline',
      now: new Date(),
    });
    const answer = await fetch(this.address, { method: 'POST', headers, body, signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${operation} answered ${answer.status}: ${text}`);
    return JSON.parse(text);
  }

  /** A new pipeline starts by itself once: its end is the end of this call. */
  async create(name, steps) {
    await this.call('CreatePipeline', { pipeline: pipeline(name, steps) });
    const { pipelineExecutionSummaries } = await this.call('ListPipelineExecutions', { pipelineName: name });
    await Promise.all(pipelineExecutionSummaries.map((first) => this.end(name, first.pipelineExecutionId)));
  }

  /** One execution, from start to success: when it started and ended, ms since 1970, on the server's clock. */
  async execute(name) {
    const { pipelineExecutionId } = await this.call('StartPipelineExecution', { name });
    return this.end(name, pipelineExecutionId);
  }

  /** Waits for an execution that was started. One loop looks for all: clients that poll cost time themselves. */
  end(name, id) {
    return new Promise((resolve, reject) => {
      if (!this.waiting.has(name)) this.waiting.set(name, new Map());
      this.waiting.get(name).set(id, { resolve, reject, until: Date.now() + EXECUTION_MS_MAX });
      if (!this.looking) this.look();
    });
  }

  async look() {
    this.looking = true;
    try {
      while (this.waiting.size > 0) {
        await sleep(POLL_MS);
        for (const [name, executions] of [...this.waiting]) {
          const input = { pipelineName: name, maxResults: PAGE };
          const { pipelineExecutionSummaries } = await this.call('ListPipelineExecutions', input);
          for (const seen of pipelineExecutionSummaries) settle(executions, seen);
          if (executions.size === 0) this.waiting.delete(name);
        }
      }
    } catch (error) {
      for (const executions of this.waiting.values()) for (const { reject } of executions.values()) reject(error);
      this.waiting.clear();
    } finally {
      this.looking = false;
    }
  }

  /** How long one execution of so many steps takes, ms. */
  async sequentialMs(steps) {
    const { started, ended } = await this.execute(sequentialName(steps));
    return ended - started;
  }

  /** How long so many executions take in all, ms, from the first request to the end of the last execution. */
  async loadMs({ executions, atOnce }) {
    const begun = Date.now();
    let last = begun;
    await inParallel(executions, atOnce, async (number) => {
      const { ended } = await this.execute(loadNames[number % LOAD_PIPELINES]);
      last = Math.max(last, ended);
    });
    return last - begun;
  }

  /** Resident memory, MiB. */
  memory() {
    return { server: residentMib(this.server) };
  }

  async stop() {
    await stopServer(this.server);
  }
}

function settle(executions, { pipelineExecutionId, status, startTime, lastUpdateTime }) {
  const waits = executions.get(pipelineExecutionId);
  if (waits === undefined || (status === 'InProgress' && Date.now() < waits.until)) return;
  executions.delete(pipelineExecutionId);
  if (status === 'Succeeded') waits.resolve({ started: startTime * 1000, ended: lastUpdateTime * 1000 });
  else waits.reject(new Error(`execution ${pipelineExecutionId} is ${status}`));
}
