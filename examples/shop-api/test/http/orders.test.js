import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { cartWith, order, service } from '../support/service.js';

const stockOf = async (call, sku) => (await call(`GET /products/${sku}`)).body.stock;

test('an order takes the stock and can be read again', async (t) => {
  const { call } = await service(t);
  const placed = await order(call, await cartWith(call, { kettle: 2 }), 'k1');
  assert.equal(placed.status, 201);
  assert.equal(placed.body.totalCents, 6800);
  assert.equal(placed.headers.get('location'), `/orders/${placed.body.id}`);
  assert.deepEqual((await call(`GET /orders/${placed.body.id}`)).body, placed.body);
  assert.equal(await stockOf(call, 'kettle'), 6);
});

test('the same key and request give the same order once', async (t) => {
  const { call } = await service(t);
  const cart = await cartWith(call, { kettle: 2 });
  const first = await order(call, cart, 'k1');
  const second = await order(call, cart, 'k1');
  assert.equal(second.status, 200);
  assert.equal(second.headers.get('idempotent-replay'), 'true');
  assert.deepEqual(second.body, first.body);
  assert.equal(await stockOf(call, 'kettle'), 6);
});

test('ten identical requests at once make one order', async (t) => {
  const { call } = await service(t);
  const cart = await cartWith(call, { kettle: 1 });
  const answers = await Promise.all(Array.from({ length: 10 }, () => order(call, cart, 'k1')));
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
  assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
  assert.equal(await stockOf(call, 'kettle'), 7);
});

test('a key used for another request is refused', async (t) => {
  const { call } = await service(t);
  const cart = await cartWith(call, { kettle: 1 });
  await order(call, cart, 'k1');
  const { status, body } = await order(call, cart, 'k1', 'eve@example.com');
  assert.equal(status, 422);
  assert.equal(body.error.code, 'idempotency_key_reused');
});

test('a key is forgotten after a day', async (t) => {
  let now = Date.UTC(2030, 0, 1);
  const { call } = await service(t, { now: () => now });
  await order(call, await cartWith(call, { kettle: 1 }), 'k1');
  now += 25 * 60 * 60 * 1000;
  assert.equal((await order(call, await cartWith(call, { kettle: 1 }), 'k1')).status, 201);
});

test('a missing or malformed key is refused', async (t) => {
  const { call } = await service(t);
  const cart = await cartWith(call, { kettle: 1 });
  for (const key of ['', 'two words', 'x'.repeat(101)]) {
    assert.equal((await order(call, cart, key)).body.error.code, 'invalid_request');
  }
});

test('the last item is sold once, and the loser keeps the cart', async (t) => {
  const { call } = await service(t);
  const carts = [await cartWith(call, { lantern: 2 }), await cartWith(call, { lantern: 2 })];
  const answers = await Promise.all(carts.map((cart, index) => order(call, cart, `k${index}`)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409]);
  assert.equal(await stockOf(call, 'lantern'), 1);
  const loser = carts[answers.findIndex(({ status }) => status === 409)];
  assert.equal((await call(`GET /carts/${loser}`)).body.orderId, null);
});

test('a refused order takes no stock of any line', async (t) => {
  const { call } = await service(t);
  const both = await cartWith(call, { kettle: 1, lantern: 3 });
  await order(call, await cartWith(call, { lantern: 1 }), 'k1');
  assert.equal((await order(call, both, 'k2')).body.error.code, 'out_of_stock');
  assert.equal(await stockOf(call, 'kettle'), 8);
});

test('an ordered cart takes no more changes', async (t) => {
  const { call } = await service(t);
  const cart = await cartWith(call, { kettle: 1 });
  await order(call, cart, 'k1');
  assert.equal((await call(`PUT /carts/${cart}/items/kettle`, { quantity: 2 })).body.error.code, 'cart_already_ordered');
  assert.equal((await order(call, cart, 'k2')).status, 409);
});

test('an empty cart and a bad address make no order', async (t) => {
  const { call } = await service(t);
  const cart = await cartWith(call, {});
  assert.equal((await order(call, cart, 'k1')).body.error.code, 'cart_empty');
  assert.equal((await order(call, cart, 'k1', 'nobody')).status, 400);
});

test('an order is on disk when the customer hears of it', async (t) => {
  const { call, dataDir } = await service(t);
  const { body } = await order(call, await cartWith(call, { kettle: 1 }), 'k1');
  const kept = JSON.parse(await readFile(path.join(dataDir, 'shop.json'), 'utf8'));
  assert.equal(kept.orders[body.id].totalCents, body.totalCents);
  assert.equal(kept.products.kettle.stock, 7);
});
