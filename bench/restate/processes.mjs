// Child processes and a temporary folder, neither of which may outlive the measurement.

import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Address that everything is bound to. */
export const LOOPBACK = '127.0.0.1';
/** How long one request may wait for its answer, ms. */
export const ANSWER_MS_MAX = 60_000;
/** How long a server may take until it answers, ms. */
const READY_MS_MAX = 30_000;
/** How long a server may take to stop before it is killed, ms. */
const STOP_MS_MAX = 10_000;

const running = new Set();

/** A new empty folder, removed again when this process ends. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'towpath-bench-'));
  process.on('exit', () => {
    // However we end: nothing we started goes on.
    for (const child of running) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
  return folder;
}

/** Starts a server whose output goes to the file `log`, and waits until `ready` returns something. */
export async function startServer(program, args, { log, cwd, env = {}, ready }) {
  const output = openSync(log, 'w');
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
  closeSync(output);
  running.add(child);
  let startError;
  child.on('error', (error) => (startError = error));
  const ended = new Promise((resolve) => child.once('close', resolve)).then(() => running.delete(child));
  const server = { child, ended, log };
  const deadline = performance.now() + READY_MS_MAX;
  while (performance.now() < deadline) {
    if (startError || child.exitCode !== null || child.signalCode !== null) break;
    server.ready = await ready(readFileSync(log, 'utf8')).catch(() => undefined);
    if (server.ready) return server;
    await sleep(20);
  }
  const said = startError?.message ?? readFileSync(log, 'utf8').slice(-2000);
  await stopServer(server);
  throw new Error(`\`${program}\` did not become ready: ${said}`);
}

/** Stops a server in good order, or by force when it does not listen. */
export async function stopServer({ child, ended }) {
  if (!running.has(child)) return;
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(force);
}

/** Resident memory of a server's process, MiB. */
export function residentMib({ child }) {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) / 1024;
}

/** So many ports of the loopback address that are free now. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = [];
  for (const server of servers) {
    await new Promise((resolve, reject) => server.once('error', reject).listen(0, LOOPBACK, resolve));
    ports.push(server.address().port);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}

/** Calls `work(0)` to `work(count - 1)`, at most `atOnce` of them at a time. */
export async function inParallel(count, atOnce, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** What `work` took, ms. */
export async function elapsedMs(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
