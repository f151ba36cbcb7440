// Is this release fit to serve? Each check does what it vouches for, and throws what is wrong.

/**
 * @param {object} parts
 * @param {object} parts.release `{version, commit, builtAt}`
 * @param {Record<string, () => Promise<void>>} parts.checks
 * @param {() => boolean} parts.draining true once a shutdown has begun
 */
export async function health({ release, checks, draining }) {
  const results = {};
  for (const [name, check] of Object.entries(checks)) results[name] = await timed(check);
  const fit = Object.values(results).every(({ ok }) => ok);
  return {
    status: draining() ? 'draining' : fit ? 'ok' : 'unhealthy',
    service: 'shop-api',
    ...release,
    pid: process.pid,
    uptimeSeconds: Math.floor(process.uptime()),
    checks: results,
  };
}

async function timed(check) {
  const started = process.hrtime.bigint();
  const result = { ok: true };
  try {
    await check();
  } catch (error) {
    result.ok = false;
    result.message = error.message;
  }
  result.ms = Number((process.hrtime.bigint() - started) / 1_000_000n);
  return result;
}
