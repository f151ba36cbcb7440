import assert from 'node:assert/strict';
import test from 'node:test';
import { service } from '../support/service.js';

test('products can be listed, filtered and looked up', async (t) => {
  const { call } = await service(t);
  assert.equal((await call('GET /products')).body.products.length, 7);
  const galley = await call('GET /products?category=galley');
  assert.deepEqual(galley.body.products.map(({ sku }) => sku), ['mug-enamel', 'kettle']);
  const available = await call('GET /products?category=navigation&inStock=true');
  assert.deepEqual(available.body.products.map(({ sku }) => sku), ['lantern']);
  assert.equal((await call('GET /products/kettle')).body.priceCents, 3400);
});

test('a product that does not exist is a 404 with a code', async (t) => {
  const { call } = await service(t);
  for (const sku of ['anchor', 'constructor', '__proto__']) {
    const { status, body } = await call(`GET /products/${sku}`);
    assert.equal(status, 404);
    assert.equal(body.error.code, 'product_not_found');
  }
});
