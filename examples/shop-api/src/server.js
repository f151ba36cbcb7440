// The program: settings from the environment, signals, exit codes. 0 after a clean stop, 1 when it cannot run.

import { logTo } from './log.js';
import { serve } from './serve.js';

const log = logTo(process.stdout);

try {
  const running = await serve({
    dataDir: process.env.DATA_DIR ?? 'data',
    host: process.env.HOST ?? '127.0.0.1',
    port: portFrom(process.env.PORT ?? '4600'),
    log,
  });
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, async () => {
      if (stopping) return;
      stopping = true;
      await running.close();
      process.exit(0);
    });
  }
} catch (error) {
  log('cannot_start', { message: error.message });
  process.exitCode = 1;
}

function portFrom(text) {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`PORT must be a port number: ${text}`);
  return port;
}
