// The built bundle as a host would run it: a program of its own, on a free port, with a folder of its own.
// BUNDLE_DIR names the bundle; EXPECTED_RELEASE, if set, the release it must claim to be.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { caller, cartWith, order, temporaryFolder } from '../support/service.js';

const bundle = process.env.BUNDLE_DIR ?? 'dist';
const release = JSON.parse(await readFile(path.join(bundle, 'release.json'), 'utf8'));

test('the bundle is the release the build announced', { skip: !process.env.EXPECTED_RELEASE }, () => {
  assert.equal(release.version, process.env.EXPECTED_RELEASE);
});

test('the bundle holds every script its appspec names, ready to run', async () => {
  const appspec = await readFile(path.join(bundle, 'appspec.yml'), 'utf8');
  const scripts = [...appspec.matchAll(/location: *(\S+)/g)].map(([, location]) => location);
  assert.ok(scripts.length >= 4);
  for (const script of scripts) await access(path.join(bundle, script), constants.X_OK);
});

test('the built service sells something and stops when told', async (t) => {
  const env = { PATH: process.env.PATH, DATA_DIR: await temporaryFolder(t), PORT: '0' };
  const server = path.resolve(bundle, 'app', 'server.js');
  const child = spawn(process.execPath, [server], { env, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const call = caller(`http://127.0.0.1:${await portOf(child)}`);

  const { status, body: health } = await call('GET /health');
  assert.equal(status, 200, JSON.stringify(health));
  assert.equal(health.version, release.version);
  assert.equal(health.commit, release.commit);

  const cart = await cartWith(call, { 'rope-10': 5 });
  const placed = await order(call, cart, 'smoke-1');
  assert.equal(placed.status, 201);
  assert.equal((await order(call, cart, 'smoke-1')).body.id, placed.body.id);
  assert.equal((await call('GET /products/rope-10')).body.stock, 35);

  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

async function portOf(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    const { event, port, message } = JSON.parse(line);
    if (event === 'listening') return port;
    if (event === 'cannot_start') throw new Error(message);
  }
  throw new Error('the service ended before it listened');
}
