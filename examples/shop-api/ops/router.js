// Stands for a load balancer: one port in front, the host in traffic behind. It
// forwards, adds `x-served-by`, and knows nothing of the shop.
//
//   node ops/router.js <folder> <port>
//
// `<folder>/live/` holds one file per host in traffic, named after it, with its port inside. The host allowed
// last gets the traffic; if it refuses, the one before. So a switch is a new file, then one file less, and no
// request falls into the gap.

import { readFileSync, readdirSync, statSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';

const CONNECT_MS_MAX = 1000;
const ANSWER_MS_MAX = 30_000;
const SHUTDOWN_MS_MAX = 3000;
// Of the connection, not of the message (RFC 9110, 7.6.1).
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'];

const [folder, port] = process.argv.slice(2);
const server = http.createServer(forward);
server.on('error', (error) => {
  log({ event: 'cannot_start', message: error.message });
  process.exitCode = 1;
});
server.listen(Number(port), '127.0.0.1', () => log({ event: 'listening', port: Number(port), pid: process.pid }));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  setTimeout(() => process.exit(0), SHUTDOWN_MS_MAX).unref();
});

async function forward(request, response) {
  const tried = [];
  for (const host of hostsInTraffic()) {
    const socket = await connect(host.port);
    if (socket) {
      pass(request, response, host, socket);
      return;
    }
    tried.push(host.name);
  }
  const message = tried.length > 0 ? `No host answers: ${tried.join(', ')}.` : 'No host is in traffic.';
  refuse(response, 503, 'no_host', message);
  log({ event: 'request', method: request.method, path: request.url, status: 503, tried });
}

function pass(request, response, host, socket) {
  const headers = { ...request.headers, 'x-forwarded-for': request.socket.remoteAddress };
  for (const name of HOP_BY_HOP) if (name !== 'transfer-encoding') delete headers[name];
  // No `agent`: with one, Node would ignore the socket and connect again.
  const options = { method: request.method, path: request.url, headers, createConnection: () => socket };
  const onward = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, { ...withoutHops(answer.headers), 'x-served-by': host.name });
    answer.pipe(response);
    answer.on('error', () => response.destroy());
    log({ event: 'request', host: host.name, method: request.method, path: request.url, status: answer.statusCode });
  });
  onward.setTimeout(ANSWER_MS_MAX, () => onward.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)));
  onward.on('error', (error) => {
    log({ event: 'error', host: host.name, path: request.url, message: error.message });
    if (response.headersSent) response.destroy();
    else refuse(response, 502, 'host_failed', `The host \`${host.name}\` broke off: ${error.message}`);
  });
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}

/** The hosts in traffic, the one allowed last first. */
function hostsInTraffic() {
  const live = path.join(folder, 'live');
  return names(live)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => {
      try {
        const file = path.join(live, name);
        return [{ name, port: Number(readFileSync(file, 'utf8')), since: statSync(file).mtimeMs }];
      } catch {
        return []; // Blocked between the listing and the reading.
      }
    })
    .sort((a, b) => b.since - a.since);
}

function names(live) {
  try {
    return readdirSync(live);
  } catch {
    return [];
  }
}

/** A connected socket, or null. Connecting first keeps the body unsent, so another host can still take it. */
function connect(port) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    const give = (result) => {
      socket.removeAllListeners();
      socket.setTimeout(0);
      if (!result) socket.on('error', () => {}).destroy();
      resolve(result);
    };
    socket.setTimeout(CONNECT_MS_MAX, () => give(null));
    socket.once('error', () => give(null));
    socket.once('connect', () => give(socket));
  });
}

function refuse(response, status, code, message) {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(`${JSON.stringify({ error: { code, message } })}\n`);
}

function withoutHops(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}

function log(fields) {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...fields })}\n`);
}
