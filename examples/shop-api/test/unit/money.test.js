import assert from 'node:assert/strict';
import test from 'node:test';
import { assertCents, format, percentOf, taxIncluded } from '../../src/money.js';

test('a percentage is rounded half up to whole cents', () => {
  assert.equal(percentOf(1000, 10), 100);
  assert.equal(percentOf(5, 10), 1);
  assert.equal(percentOf(4, 10), 0);
});

test('the tax contained in a gross amount is split off exactly', () => {
  assert.equal(taxIncluded(1190, 19), 190);
  assert.equal(taxIncluded(100, 19), 16);
  assert.equal(taxIncluded(0, 19), 0);
});

test('amounts that are not whole, not safe or below zero are refused', () => {
  for (const bad of [0.1, -1, NaN, Number.MAX_SAFE_INTEGER + 1, '5']) {
    assert.throws(() => assertCents(bad, 'price'), /whole number of cents/);
  }
});

test('an amount is printed with two digits of cents', () => {
  assert.equal(format(1205, 'EUR'), '12.05 EUR');
  assert.equal(format(7, 'EUR'), '0.07 EUR');
});
