// Which release this is: `release.json`, written by the build, lies next to the code. A checkout has none.

import { readFile } from 'node:fs/promises';

export const UNBUILT = { version: '0.0.0+checkout', commit: null, builtAt: null };

export async function readRelease(file = new URL('./release.json', import.meta.url)) {
  try {
    const { version, commit, builtAt } = JSON.parse(await readFile(file, 'utf8'));
    return { version, commit, builtAt };
  } catch (error) {
    if (error.code === 'ENOENT') return UNBUILT;
    throw error;
  }
}
