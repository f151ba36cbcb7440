// Restate's server and the service, and how they are asked to run steps.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  ANSWER_MS_MAX,
  LOOPBACK,
  elapsedMs,
  freePorts,
  inParallel,
  residentMib,
  startServer,
  stopServer,
} from './processes.mjs';

const SERVICE = fileURLToPath(new URL('service.mjs', import.meta.url));

/** The server's program itself: the package's launcher would be one more process between us. */
function program() {
  const packaged = `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`;
  return createRequire(import.meta.url).resolve(packaged);
}

/** Starts a server with an empty state in `folder`, and a service registered with it. */
export async function startRestate(folder) {
  const [node, ingress, admin] = await freePorts(3);
  const server = await startServer(
    program(),
    ['--no-logo', '--listen-mode', 'tcp', '--node-name', 'bench', '--log-filter', 'warn',
      '--base-dir', join(folder, 'data'), '--bind-address', `${LOOPBACK}:${node}`],
    {
      log: join(folder, 'restate.log'),
      cwd: folder,
      env: {
        RESTATE_INGRESS__BIND_ADDRESS: `${LOOPBACK}:${ingress}`,
        RESTATE_ADMIN__BIND_ADDRESS: `${LOOPBACK}:${admin}`,
        RESTATE_DISABLE_TELEMETRY: 'true',
      },
      ready: async () => {
        const answers = [`${LOOPBACK}:${admin}/health`, `${LOOPBACK}:${ingress}/restate/health`];
        const asked = await Promise.all(answers.map((address) => fetch(`http://${address}`)));
        return asked.every((answer) => answer.ok);
      },
    },
  );
  const service = await startServer(process.execPath, [SERVICE], {
    log: join(folder, 'service.log'),
    cwd: folder,
    env: { RESTATE_LOGGING: 'ERROR', NODE_ENV: 'production' },
    ready: async (said) => /ready: (\S+)/.exec(said)?.[1],
  });
  await post(`http://${LOOPBACK}:${admin}/deployments`, { uri: service.ready });
  return new Restate(server, service, `http://${LOOPBACK}:${ingress}`);
}

async function post(address, body) {
  const answer = await fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`\`${address}\` answered ${answer.status}: ${text}`);
  return JSON.parse(text);
}

class Restate {
  constructor(server, service, ingress) {
    Object.assign(this, { server, service, ingress });
  }

  /** One invocation of so many steps, and its result. */
  async invoke(steps) {
    const done = await post(`${this.ingress}/steps/run`, steps);
    if (done !== steps) throw new Error(`${steps} steps were asked for, ${done} were done`);
  }

  /** How long one invocation of so many steps takes, ms. */
  sequentialMs(steps) {
    return elapsedMs(() => this.invoke(steps));
  }

  /** How long so many invocations take in all, ms. */
  loadMs({ executions, steps, atOnce }) {
    return elapsedMs(() => inParallel(executions, atOnce, () => this.invoke(steps)));
  }

  /** Resident memory, MiB: of the server, and of the process that holds the steps' code. */
  memory() {
    return { server: residentMib(this.server), service: residentMib(this.service) };
  }

  async stop() {
    await stopServer(this.service);
    await stopServer(this.server);
  }
}
