// The shop's rules: what may be put into a cart, and what makes an order. Each change is a function of a
// draft of the state; it throws `ApiError` to refuse, and the draft is then forgotten.

import { createHash, randomUUID } from 'node:crypto';
import { ApiError, invalid, notFound } from './errors.js';
import * as limits from './limits.js';
import { knownCoupon, price } from './pricing.js';

export class Shop {
  #store;
  #now;

  constructor(store, now = Date.now) {
    this.#store = store;
    this.#now = now;
  }

  products({ category, inStock } = {}) {
    return Object.values(this.#store.state.products)
      .filter((product) => !category || product.category === category)
      .filter((product) => !inStock || product.stock > 0);
  }

  product(sku) {
    return find(this.#store.state.products, sku, 'product');
  }

  cart(id) {
    return shown(find(this.#store.state.carts, id, 'cart'), this.#store.state);
  }

  order(id) {
    return find(this.#store.state.orders, id, 'order');
  }

  createCart() {
    return this.#store.transact((draft) => {
      forgetOldCarts(draft, this.#now());
      if (Object.keys(draft.carts).length >= limits.CARTS_MAX) {
        throw new ApiError(503, 'too_many_carts', 'The shop holds too many open carts; try again later.');
      }
      const cart = { id: randomUUID(), createdAt: this.#now(), items: {}, coupon: null, orderId: null };
      draft.carts[cart.id] = cart;
      return shown(cart, draft);
    });
  }

  /** Sets the quantity of one product; 0 removes it. Stock is checked here for the customer, and again at checkout. */
  setItem(cartId, sku, quantity) {
    if (!Number.isInteger(quantity) || quantity < 0 || quantity > limits.QUANTITY_PER_LINE_MAX) {
      throw invalid(`\`quantity\` must be a whole number from 0 to ${limits.QUANTITY_PER_LINE_MAX}.`);
    }
    return this.#store.transact((draft) => {
      const cart = openCart(draft, cartId);
      const product = find(draft.products, sku, 'product');
      if (quantity === 0) {
        delete cart.items[sku];
        return shown(cart, draft);
      }
      if (!(sku in cart.items) && Object.keys(cart.items).length >= limits.LINES_PER_CART_MAX) {
        throw invalid(`A cart holds at most ${limits.LINES_PER_CART_MAX} different products.`);
      }
      requireStock([{ product, quantity }]);
      cart.items[sku] = quantity;
      return shown(cart, draft);
    });
  }

  setCoupon(cartId, code) {
    if (typeof code !== 'string') throw invalid('`code` must be a text.');
    knownCoupon(code);
    return this.#store.transact((draft) => {
      const cart = openCart(draft, cartId);
      cart.coupon = code;
      return shown(cart, draft);
    });
  }

  /**
   * Turns a cart into an order, once per idempotency key: the same key and request give the same order.
   * @returns {Promise<{order: object, replayed: boolean}>}
   */
  placeOrder(key, request) {
    requireKey(key);
    const { cartId, email } = requireOrderRequest(request);
    const fingerprint = createHash('sha256').update(JSON.stringify([cartId, email])).digest('hex');
    return this.#store.transact((draft) => {
      const now = this.#now();
      forgetOldReplays(draft, now);
      const earlier = own(draft.replays, key);
      if (earlier) return replay(draft, earlier, fingerprint);
      const order = checkOut(draft, openCart(draft, cartId), email, now);
      draft.replays[key] = { fingerprint, orderId: order.id, at: now };
      return { order, replayed: false };
    });
  }
}

function checkOut(draft, cart, email, now) {
  const lines = linesOf(cart, draft);
  if (lines.length === 0) throw new ApiError(409, 'cart_empty', 'The cart is empty; add a product first.');
  requireStock(lines);
  for (const { product, quantity } of lines) product.stock -= quantity;
  const order = {
    id: randomUUID(),
    cartId: cart.id,
    email,
    status: 'placed',
    placedAt: new Date(now).toISOString(),
    ...price(lines, cart.coupon),
  };
  draft.orders[order.id] = order;
  cart.orderId = order.id;
  return order;
}

function replay(draft, earlier, fingerprint) {
  if (earlier.fingerprint !== fingerprint) {
    throw new ApiError(422, 'idempotency_key_reused', 'This `Idempotency-Key` was used for another order; use a new one.');
  }
  return { order: draft.orders[earlier.orderId], replayed: true };
}

function shown(cart, state) {
  const { id, orderId, coupon } = cart;
  return { id, orderId, ...price(linesOf(cart, state), coupon) };
}

function linesOf(cart, state) {
  return Object.entries(cart.items).map(([sku, quantity]) => ({ product: state.products[sku], quantity }));
}

function openCart(draft, id) {
  const cart = find(draft.carts, id, 'cart');
  if (cart.orderId) {
    throw new ApiError(409, 'cart_already_ordered', 'This cart has become an order; start a new cart.', {
      orderId: cart.orderId,
    });
  }
  return cart;
}

function requireStock(lines) {
  const short = lines
    .filter(({ product, quantity }) => product.stock < quantity)
    .map(({ product, quantity }) => ({ sku: product.sku, wanted: quantity, left: product.stock }));
  if (short.length > 0) {
    const names = short.map(({ sku }) => `\`${sku}\``).join(', ');
    throw new ApiError(409, 'out_of_stock', `Not enough in stock of ${names}.`, { short });
  }
}

function requireKey(key) {
  if (!/^[\x21-\x7e]+$/.test(key ?? '') || key.length > limits.IDEMPOTENCY_KEY_CHARS_MAX) {
    throw invalid(
      `The header \`Idempotency-Key\` is required: 1 to ${limits.IDEMPOTENCY_KEY_CHARS_MAX} visible characters.`,
    );
  }
}

function requireOrderRequest({ cartId, email }) {
  if (typeof cartId !== 'string') throw invalid('`cartId` must be the id of a cart.');
  if (typeof email !== 'string' || email.length > limits.EMAIL_CHARS_MAX || !/^[^\s@]+@[^\s@]+$/.test(email)) {
    throw invalid('`email` must be an e-mail address.');
  }
  return { cartId, email };
}

function forgetOldCarts(draft, now) {
  for (const [id, cart] of Object.entries(draft.carts)) {
    if (now - cart.createdAt > limits.CART_AGE_DAYS_MAX * limits.DAY_MS) delete draft.carts[id];
  }
}

function forgetOldReplays(draft, now) {
  const entries = Object.entries(draft.replays);
  const surplus = entries.length - limits.REPLAYS_MAX + 1;
  entries.forEach(([key, { at }], index) => {
    if (index < surplus || now - at > limits.REPLAY_AGE_HOURS_MAX * limits.HOUR_MS) delete draft.replays[key];
  });
}

function find(table, id, what) {
  const row = own(table, id);
  if (!row) throw notFound(what, id);
  return row;
}

// Ids come from callers: `constructor` must not find what every object inherits.
function own(table, id) {
  return Object.hasOwn(table, id) ? table[id] : undefined;
}
