// HTTP in, HTTP out: routes, bodies, errors, the request log. No rule of the shop lives here.

import { randomUUID } from 'node:crypto';
import { ApiError, invalid } from './errors.js';
import { health } from './health.js';
import { BODY_BYTES_MAX } from './limits.js';

const ROUTES = [
  ['GET', '/health', getHealth],
  ['GET', '/products', getProducts],
  ['GET', '/products/:sku', ({ shop, params }) => reply(200, shop.product(params.sku))],
  ['POST', '/carts', async ({ shop }) => reply(201, await shop.createCart())],
  ['GET', '/carts/:id', ({ shop, params }) => reply(200, shop.cart(params.id))],
  ['PUT', '/carts/:id/items/:sku', putItem],
  ['DELETE', '/carts/:id/items/:sku', async ({ shop, params }) => reply(200, await shop.setItem(params.id, params.sku, 0))],
  ['PUT', '/carts/:id/coupon', putCoupon],
  ['POST', '/orders', postOrder],
  ['GET', '/orders/:id', ({ shop, params }) => reply(200, shop.order(params.id))],
].map(([method, path, handle]) => ({ method, segments: path.split('/').slice(1), handle }));

/**
 * The request listener.
 * @param {object} parts `{shop, release, checks, draining, log}`
 */
export function createApp(parts) {
  return async (request, response) => {
    const started = process.hrtime.bigint();
    const id = randomUUID();
    const answer = await answerTo(request, parts, id);
    send(response, answer, id, parts.draining());
    parts.log('request', {
      id,
      method: request.method,
      path: request.url.split('?')[0],
      status: answer.status,
      ms: Number((process.hrtime.bigint() - started) / 1_000_000n),
      ...(answer.body?.error && { code: answer.body.error.code }),
    });
  };
}

async function answerTo(request, parts, id) {
  try {
    const url = urlOf(request);
    const { handle, params } = route(request.method, url.pathname);
    return await handle({ ...parts, request, url, params });
  } catch (error) {
    if (error instanceof ApiError) return reply(error.status, error.toJSON(), error.headers);
    parts.log('error', { id, message: error.message, stack: error.stack });
    const hidden = new ApiError(500, 'internal_error', `Something went wrong here; quote the request id ${id}.`);
    return reply(500, hidden.toJSON());
  }
}

async function getHealth(parts) {
  const report = await health(parts);
  return reply(report.status === 'ok' ? 200 : 503, report);
}

function getProducts({ shop, url }) {
  const category = url.searchParams.get('category');
  const inStock = url.searchParams.get('inStock') === 'true';
  return reply(200, { products: shop.products({ category, inStock }) });
}

async function putItem({ shop, params, request }) {
  const { quantity } = await readJson(request);
  return reply(200, await shop.setItem(params.id, params.sku, quantity));
}

async function putCoupon({ shop, params, request }) {
  const { code } = await readJson(request);
  return reply(200, await shop.setCoupon(params.id, code));
}

async function postOrder({ shop, request }) {
  const { order, replayed } = await shop.placeOrder(request.headers['idempotency-key'], await readJson(request));
  return replayed
    ? reply(200, order, { 'idempotent-replay': 'true' })
    : reply(201, order, { location: `/orders/${order.id}` });
}

function urlOf(request) {
  try {
    return new URL(`http://shop${request.url}`);
  } catch {
    throw invalid('The request target is not a path.');
  }
}

function route(method, pathname) {
  const given = pathname.split('/').slice(1);
  const allowed = [];
  for (const candidate of ROUTES) {
    const params = match(candidate.segments, given);
    if (params && candidate.method === method) return { handle: candidate.handle, params };
    if (params) allowed.push(candidate.method);
  }
  if (allowed.length === 0) throw new ApiError(404, 'no_such_path', `There is nothing at \`${pathname}\`.`);
  const refusal = new ApiError(405, 'method_not_allowed', `\`${pathname}\` takes ${allowed.join(', ')}.`);
  refusal.headers = { allow: allowed.join(', ') };
  throw refusal;
}

function match(segments, given) {
  if (segments.length !== given.length) return null;
  const params = {};
  for (const [index, segment] of segments.entries()) {
    if (segment.startsWith(':')) params[segment.slice(1)] = decode(given[index]);
    else if (segment !== given[index]) return null;
  }
  return params;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('The path holds a broken percent escape.');
  }
}

async function readJson(request) {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw new ApiError(415, 'not_json', 'Send the body as `application/json`.');
  }
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    // The rest is read and dropped, so that the answer reaches a client that is still sending.
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  if (bytes > BODY_BYTES_MAX) {
    throw new ApiError(413, 'body_too_large', `The body may have at most ${BODY_BYTES_MAX} bytes.`);
  }
  let value;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw invalid(`The body is not JSON: ${error.message}`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalid('The body must be a JSON object.');
  }
  return value;
}

function reply(status, body, headers = {}) {
  return { status, body, headers };
}

function send(response, { status, body, headers }, id, draining) {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-request-id': id,
    // A kept-alive connection would hold up the shutdown.
    ...(draining && { connection: 'close' }),
    ...headers,
  });
  response.end(text);
}
