// A command that ended well, as observers are told; tests change what they look at.
import type { ExchangeEnded } from '../../../src/gate/outcome/events.js';

export const ended: ExchangeEnded = {
  kind: 'exchange-ended',
  exchange: {
    listener: 'support',
    session: 'S1',
    id: 'E1',
    principal: 'bob@support',
    user: 'alice@example.org',
    command: 'quota get',
  },
  backend: 'mail1',
  upstream: 'mail1-1',
  decision: 'allow',
  policy: 'support',
  shadow: undefined,
  denial: undefined,
  rule: undefined,
  outcome: 'ok',
  status: '+',
  level: 'info',
  error: undefined,
  text: undefined,
  isQuoting: false,
  isSent: true,
  bytesIn: 100,
  bytesOut: 108,
  bytesUp: 0,
  waitMs: 2,
  durationMs: 12,
};
