// Starts the service and hands back how to stop it.

import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { createApp } from './app.js';
import { checksOf } from './checks.js';
import { REQUEST_SECONDS_MAX, SHUTDOWN_SECONDS_MAX } from './limits.js';
import { readRelease } from './release.js';
import { Shop } from './shop.js';
import { Store } from './store.js';

/**
 * @param {{dataDir: string, host?: string, port?: number, log: Function, now?: () => number}} settings
 *   port 0 takes a free one
 * @returns {Promise<{port: number, close: () => Promise<void>}>}
 */
export async function serve({ dataDir, host = '127.0.0.1', port = 0, log, now = Date.now }) {
  const seed = JSON.parse(await readFile(new URL('./seed.json', import.meta.url), 'utf8'));
  const store = await Store.open(dataDir, seed);
  const release = await readRelease();
  let draining = false;
  const app = createApp({
    shop: new Shop(store, now),
    release,
    checks: checksOf(store),
    draining: () => draining,
    log,
  });
  const server = http.createServer({ requestTimeout: REQUEST_SECONDS_MAX * 1000 }, app);
  const sockets = new Set();
  server.on('connection', (socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  await listening(server, port, host);
  log('listening', { host, port: server.address().port, pid: process.pid, ...release });

  const close = async () => {
    draining = true;
    log('draining');
    await closed(server, sockets);
    await store.settled();
    log('stopped');
  };
  return { port: server.address().port, close };
}

function listening(server, port, host) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}

/** Lets running requests finish; cuts off what takes longer than the shutdown may. */
function closed(server, sockets) {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), SHUTDOWN_SECONDS_MAX * 1000);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
    // Node does not count a connection as idle before its first request; browsers open such in advance.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  });
}
