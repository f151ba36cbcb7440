// What `/health` looks at.

/** @param {import('./store.js').Store} store */
export const checksOf = (store) => ({
  store: () => store.check(),
});
