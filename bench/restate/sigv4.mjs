// Signs requests as AWS Signature Version 4 asks for, in the plain case that is needed here: POST to `/`,
// no query, a body of text.

import { createHash, createHmac } from 'node:crypto';

const ALGORITHM = 'AWS4-HMAC-SHA256';

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();

/**
 * The headers to send with `body` to `host` (with its port), signed.
 * `headers`: what else is to be sent, names in lower case. `now`: the time of the request.
 */
export function signed({ host, headers, body, key, secret, region, service, now }) {
  const moment = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const day = moment.slice(0, 8);
  const all = { ...headers, host, 'x-amz-date': moment };
  const names = Object.keys(all).sort();
  const canonical = [
    'POST',
    '/',
    '',
    ...names.map((name) => `${name}:${all[name].trim()}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = [ALGORITHM, moment, scope, sha256(canonical)].join('\n');
  const signingKey = [day, region, service, 'aws4_request'].reduce(hmac, `AWS4${secret}`);
  const signature = hmac(signingKey, toSign).toString('hex');
  const authorization =
    `${ALGORITHM} Credential=${key}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  // `fetch` sets the host itself.
  const { host: _, ...sent } = all;
  return { ...sent, authorization };
}
