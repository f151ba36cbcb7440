import assert from 'node:assert/strict';
import test from 'node:test';
import { cartWith, service } from '../support/service.js';

test('a cart keeps quantities and shows its price', async (t) => {
  const { call } = await service(t);
  const id = await cartWith(call, { kettle: 1, 'mug-enamel': 2 });
  const { body } = await call(`GET /carts/${id}`);
  assert.equal(body.goodsCents, 3400 + 2 * 895);
  assert.equal(body.shippingCents, 0);
});

test('an item can be replaced and removed', async (t) => {
  const { call } = await service(t);
  const id = await cartWith(call, { kettle: 1 });
  assert.equal((await call(`PUT /carts/${id}/items/kettle`, { quantity: 3 })).body.lines[0].quantity, 3);
  assert.deepEqual((await call(`DELETE /carts/${id}/items/kettle`)).body.lines, []);
});

test('quantities that make no sense are refused', async (t) => {
  const { call } = await service(t);
  const id = await cartWith(call, {});
  for (const quantity of [-1, 1.5, 100, '2', null]) {
    const { status, body } = await call(`PUT /carts/${id}/items/kettle`, { quantity });
    assert.equal(status, 400, JSON.stringify(quantity));
    assert.match(body.error.message, /whole number from 0 to 99/);
  }
});

test('more than the stock cannot be put into a cart', async (t) => {
  const { call } = await service(t);
  const id = await cartWith(call, {});
  const { status, body } = await call(`PUT /carts/${id}/items/lantern`, { quantity: 4 });
  assert.equal(status, 409);
  assert.deepEqual(body.error.details, { short: [{ sku: 'lantern', wanted: 4, left: 3 }] });
});

test('a coupon is kept with the cart', async (t) => {
  const { call } = await service(t);
  const id = await cartWith(call, { kettle: 1 });
  assert.equal((await call(`PUT /carts/${id}/coupon`, { code: 'WELCOME10' })).body.discountCents, 340);
  assert.equal((await call(`PUT /carts/${id}/coupon`, { code: 'NOPE' })).body.error.code, 'unknown_coupon');
  assert.equal((await call(`GET /carts/${id}`)).body.coupon, 'WELCOME10');
});

test('a cart is forgotten after a week', async (t) => {
  let now = Date.UTC(2030, 0, 1);
  const { call } = await service(t, { now: () => now });
  const old = await cartWith(call, { kettle: 1 });
  now += 8 * 24 * 60 * 60 * 1000;
  await call('POST /carts');
  assert.equal((await call(`GET /carts/${old}`)).status, 404);
});
