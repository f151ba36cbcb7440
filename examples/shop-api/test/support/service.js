// A service on a free port with its own data folder, for one test.

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { serve } from '../../src/serve.js';

export async function temporaryFolder(t) {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'shop-api-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** @returns {Promise<{call: Function, port: number, dataDir: string, log: object[], close: Function}>} */
export async function service(t, { now } = {}) {
  const dataDir = await temporaryFolder(t);
  const log = [];
  const running = await serve({ dataDir, log: (event, fields) => log.push({ event, ...fields }), now });
  let closed = null;
  const close = () => (closed ??= running.close());
  t.after(close);
  return { call: caller(`http://127.0.0.1:${running.port}`), port: running.port, dataDir, log, close };
}

/** `call('PUT /carts/1/coupon', {code}, headers)` -> `{status, body, headers}` */
export function caller(base) {
  return async (line, body, headers = {}) => {
    const [method, path] = line.split(' ');
    const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(base + path, { method, headers: { ...type, ...headers }, ...sent });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
}

export async function cartWith(call, items) {
  const { body: cart } = await call('POST /carts');
  for (const [sku, quantity] of Object.entries(items)) {
    await call(`PUT /carts/${cart.id}/items/${sku}`, { quantity });
  }
  return cart.id;
}

export const order = (call, cartId, key, email = 'ada@example.com') =>
  call('POST /orders', { cartId, email }, { 'idempotency-key': key });
