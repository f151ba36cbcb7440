import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { caller, cartWith, order, service, temporaryFolder } from '../support/service.js';

const SERVER = fileURLToPath(new URL('../../src/server.js', import.meta.url));

test('health names the release and what it checked', async (t) => {
  const { call } = await service(t);
  const { status, body } = await call('GET /health');
  assert.equal(status, 200);
  assert.equal(body.status, 'ok');
  assert.equal(body.version, '0.0.0+checkout');
  assert.equal(body.pid, process.pid);
  assert.equal(body.checks.store.ok, true);
});

test('health turns bad when the data is gone, while the service goes on answering', async (t) => {
  const { call, dataDir } = await service(t);
  await rm(dataDir, { recursive: true });
  const { status, body } = await call('GET /health');
  assert.equal(status, 503);
  assert.equal(body.status, 'unhealthy');
  assert.match(body.checks.store.message, /ENOENT/);
  assert.equal((await call('GET /products')).status, 200);
});

test('errors are JSON with a code, and carry the request id', async (t) => {
  const { call, log } = await service(t);
  const missing = await call('GET /nowhere');
  assert.equal(missing.status, 404);
  assert.equal(missing.body.error.code, 'no_such_path');
  assert.equal(log.find(({ event }) => event === 'request').id, missing.headers.get('x-request-id'));
});

test('a wrong method names the right ones', async (t) => {
  const { call } = await service(t);
  const { status, headers } = await call('DELETE /products/kettle');
  assert.equal(status, 405);
  assert.equal(headers.get('allow'), 'GET');
});

test('bodies that are too large, of another type or no JSON object are refused', async (t) => {
  const { call } = await service(t);
  const put = `PUT /carts/${await cartWith(call, {})}/coupon`;
  assert.equal((await call(put, 'x'.repeat(70_000))).status, 413);
  assert.equal((await call(put, '{}', { 'content-type': 'text/plain' })).status, 415);
  for (const body of ['{', '[]', 'null']) assert.equal((await call(put, body)).status, 400, body);
});

test('a broken percent escape in the path is the caller\'s mistake', async (t) => {
  const { call } = await service(t);
  assert.equal((await call('GET /products/%E0%A4%A')).status, 400);
});

test('the request log holds the outcome and never an address', async (t) => {
  const { call, log } = await service(t);
  await order(call, await cartWith(call, { kettle: 1 }), 'k1', 'ada@example.com');
  const line = log.find(({ path }) => path === '/orders');
  assert.deepEqual([line.method, line.status, typeof line.ms], ['POST', 201, 'number']);
  assert.ok(!JSON.stringify(log).includes('ada@'));
});

test('SIGTERM ends the program cleanly, and the data survives', async (t) => {
  const dataDir = await temporaryFolder(t);
  const first = await program(t, dataDir);
  const cart = await cartWith(first.call, { kettle: 1 });
  first.child.kill('SIGTERM');
  assert.deepEqual(await once(first.child, 'exit'), [0, null]);
  const second = await program(t, dataDir);
  assert.equal((await second.call(`GET /carts/${cart}`)).body.goodsCents, 3400);
});

test('a connection that never asked anything does not hold up the end', { timeout: 4000 }, async (t) => {
  const { port, close } = await service(t);
  const socket = net.connect(port, '127.0.0.1').on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  await close();
});

test('a request that runs is answered before the end, and the connection is closed', async (t) => {
  const { port, close } = await service(t);
  const body = JSON.stringify({ code: 'WELCOME10' });
  const headers = { 'content-type': 'application/json', 'content-length': body.length, connection: 'keep-alive' };
  const request = http.request({ port, host: '127.0.0.1', method: 'PUT', path: '/carts/none/coupon', headers });
  request.write(body.slice(0, 5));
  await once(request, 'socket');
  await once(request.socket, 'connect');
  await fetch(`http://127.0.0.1:${port}/products`); // By now the server has read the head of the first request.
  const closed = close();
  request.end(body.slice(5));
  const [response] = await once(request, 'response');
  assert.equal(response.statusCode, 404);
  assert.equal(response.headers.connection, 'close');
  response.resume();
  await closed;
});

test('a port that is taken ends the program with a readable reason', async (t) => {
  const { port } = await program(t, await temporaryFolder(t));
  const child = start(t, await temporaryFolder(t), port);
  const exited = once(child, 'exit');
  assert.match((await lineWith(child, 'cannot_start')).message, /EADDRINUSE/);
  assert.deepEqual(await exited, [1, null]);
});

async function program(t, dataDir) {
  const child = start(t, dataDir, 0);
  const { port } = await lineWith(child, 'listening');
  return { child, port, call: caller(`http://127.0.0.1:${port}`) };
}

function start(t, dataDir, port) {
  const env = { PATH: process.env.PATH, DATA_DIR: dataDir, PORT: String(port) };
  const child = spawn(process.execPath, [SERVER], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function lineWith(child, event) {
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = JSON.parse(line);
    if (entry.event === event) return entry;
  }
  throw new Error(`the program ended without \`${event}\``);
}
