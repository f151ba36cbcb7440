// From lines to a total. Pure: the same basket always costs the same.
//
// Order of the rules: bulk discount per line, coupon on the goods, shipping on what is left, and the tax
// contained in the sum. No rule can make an amount negative.

import { ApiError } from './errors.js';
import { assertCents, percentOf, taxIncluded } from './money.js';
import { shippingFor } from './shipping.js';

export const CURRENCY = 'EUR';
export const TAX_PERCENT = 19;

const COUPONS = new Map([
  ['WELCOME10', { percentOff: 10, capCents: 2000, minGoodsCents: 0 }],
  ['SPRING25', { percentOff: 25, capCents: 5000, minGoodsCents: 10_000 }],
]);

export function knownCoupon(code) {
  const coupon = COUPONS.get(code);
  if (!coupon) throw new ApiError(422, 'unknown_coupon', `There is no coupon \`${code}\`.`);
  return coupon;
}

/**
 * @param {{product: object, quantity: number}[]} lines
 * @param {string | null} couponCode a code that passed `knownCoupon`
 */
export function price(lines, couponCode = null) {
  const priced = lines.map(priceLine);
  const goodsCents = priced.reduce((sum, line) => sum + line.totalCents, 0);
  const discountCents = couponCode ? couponDiscount(goodsCents, knownCoupon(couponCode)) : 0;
  const shippingCents = shippingFor(goodsCents - discountCents);
  const totalCents = goodsCents - discountCents + shippingCents;
  return {
    currency: CURRENCY,
    lines: priced,
    goodsCents,
    coupon: couponCode,
    discountCents,
    shippingCents,
    totalCents: assertCents(totalCents, 'total'),
    taxIncludedCents: taxIncluded(totalCents, TAX_PERCENT),
  };
}

function priceLine({ product, quantity }) {
  const fullCents = assertCents(product.priceCents, `price of ${product.sku}`) * quantity;
  const bulk = product.bulk && quantity >= product.bulk.from ? percentOf(fullCents, product.bulk.percentOff) : 0;
  return {
    sku: product.sku,
    name: product.name,
    unitCents: product.priceCents,
    quantity,
    bulkDiscountCents: bulk,
    totalCents: fullCents - bulk,
  };
}

function couponDiscount(goodsCents, { percentOff, capCents, minGoodsCents }) {
  return goodsCents < minGoodsCents ? 0 : Math.min(percentOf(goodsCents, percentOff), capCents);
}
