// Money is an integer number of cents. Floating point never touches a price; rounding is half up, and
// happens once per amount that is shown to a customer.

export function assertCents(cents, what) {
  if (!Number.isSafeInteger(cents) || cents < 0) {
    throw new RangeError(`${what} must be a whole number of cents, 0 or more: ${cents}`);
  }
  return cents;
}

/** `percent` of `cents`, rounded half up. */
export function percentOf(cents, percent) {
  assertCents(cents, 'amount');
  return divideHalfUp(cents * percent, 100);
}

/** The tax contained in a gross amount: at 19 %, 1190 cents contain 190. */
export function taxIncluded(grossCents, percent) {
  assertCents(grossCents, 'gross amount');
  return divideHalfUp(grossCents * percent, 100 + percent);
}

export function format(cents, currency) {
  const whole = Math.floor(cents / 100);
  return `${whole}.${String(cents % 100).padStart(2, '0')} ${currency}`;
}

function divideHalfUp(numerator, denominator) {
  return Math.floor((2 * numerator + denominator) / (2 * denominator));
}
