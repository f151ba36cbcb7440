import assert from 'node:assert/strict';
import test from 'node:test';
import { price } from '../../src/pricing.js';
import { shippingFor } from '../../src/shipping.js';

const rope = { sku: 'rope', name: 'Rope', priceCents: 1890, stock: 40, bulk: { from: 5, percentOff: 10 } };
const kettle = { sku: 'kettle', name: 'Kettle', priceCents: 3400, stock: 8 };

test('an empty basket costs nothing, not even shipping', () => {
  const { goodsCents, shippingCents, totalCents } = price([]);
  assert.deepEqual({ goodsCents, shippingCents, totalCents }, { goodsCents: 0, shippingCents: 0, totalCents: 0 });
});

test('shipping is flat below the threshold and free from it on', () => {
  assert.equal(shippingFor(4999), 490);
  assert.equal(shippingFor(5000), 0);
});

test('the bulk discount starts exactly at its quantity', () => {
  assert.equal(price([{ product: rope, quantity: 4 }]).lines[0].bulkDiscountCents, 0);
  const line = price([{ product: rope, quantity: 5 }]).lines[0];
  assert.equal(line.bulkDiscountCents, 945);
  assert.equal(line.totalCents, 5 * 1890 - 945);
});

test('a coupon takes its percentage off the goods, before shipping', () => {
  const basket = price([{ product: kettle, quantity: 1 }], 'WELCOME10');
  assert.equal(basket.discountCents, 340);
  assert.equal(basket.shippingCents, 490);
  assert.equal(basket.totalCents, 3400 - 340 + 490);
});

test('a coupon never gives more than its cap', () => {
  assert.equal(price([{ product: kettle, quantity: 8 }], 'WELCOME10').discountCents, 2000);
});

test('a coupon below its minimum gives nothing and is no error', () => {
  assert.equal(price([{ product: kettle, quantity: 1 }], 'SPRING25').discountCents, 0);
  assert.equal(price([{ product: kettle, quantity: 3 }], 'SPRING25').discountCents, 2550);
});

test('a discount can bring a basket back under free shipping', () => {
  const product = { ...kettle, priceCents: 5000 };
  assert.equal(price([{ product, quantity: 1 }]).shippingCents, 0);
  assert.equal(price([{ product, quantity: 1 }], 'WELCOME10').shippingCents, 490);
});

test('the total is the sum of its parts for every quantity', () => {
  for (let quantity = 1; quantity <= 99; quantity += 1) {
    const basket = price([{ product: rope, quantity }], 'WELCOME10');
    assert.equal(basket.totalCents, basket.goodsCents - basket.discountCents + basket.shippingCents);
    assert.ok(basket.taxIncludedCents < basket.totalCents);
  }
});

test('an unknown coupon is refused', () => {
  assert.throws(() => price([], 'FREE'), { code: 'unknown_coupon', status: 422 });
});
