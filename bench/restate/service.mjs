// The Restate service: `steps/run` carries out as many durable steps as its input says, one after the other.

import { createEndpointHandler, service } from '@restatedev/restate-sdk';
import { createServer } from 'node:http2';
import { step } from './step.mjs';

// The SDK calls it without asking for Node 22, the first that has it.
Promise.withResolvers ??= function withResolvers() {
  let resolve, reject;
  const promise = new this((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
};

const steps = service({
  name: 'steps',
  handlers: {
    run: async (ctx, count) => {
      for (let number = 1; number <= count; number += 1) await ctx.run(`step ${number}`, step);
      return count;
    },
  },
});

const server = createServer(createEndpointHandler({ services: [steps] }));
server.listen(0, '127.0.0.1', () => console.log(`service is ready: http://127.0.0.1:${server.address().port}`));
