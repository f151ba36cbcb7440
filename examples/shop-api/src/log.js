// One JSON object per line, on stdout. Never a body, never an address of a customer.

export function logTo(stream, now = () => new Date()) {
  return (event, fields = {}) => {
    stream.write(`${JSON.stringify({ time: now().toISOString(), event, ...fields })}\n`);
  };
}
