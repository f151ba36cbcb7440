// What it costs to send an order.

export const rates = () => ({ flatCents: 490, freeFromCents: 5000 });

/** An empty basket and one worth `freeFromCents` or more travel free. */
export function shippingFor(goodsCents, { flatCents, freeFromCents } = rates()) {
  return goodsCents === 0 || goodsCents >= freeFromCents ? 0 : flatCents;
}
