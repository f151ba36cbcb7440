// Every bound of the service, with its unit. Nothing a caller sends may grow without one.

export const BODY_BYTES_MAX = 64 * 1024;
export const QUANTITY_PER_LINE_MAX = 99;
export const LINES_PER_CART_MAX = 50;
export const CARTS_MAX = 10_000;
export const CART_AGE_DAYS_MAX = 7;
export const IDEMPOTENCY_KEY_CHARS_MAX = 100;
export const REPLAY_AGE_HOURS_MAX = 24;
export const REPLAYS_MAX = 10_000;
export const EMAIL_CHARS_MAX = 254;
export const REQUEST_SECONDS_MAX = 10;
export const SHUTDOWN_SECONDS_MAX = 8;

export const HOUR_MS = 60 * 60 * 1000;
export const DAY_MS = 24 * HOUR_MS;
