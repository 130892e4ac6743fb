// Records of temporary access, as the journal holds them.
import { formatTime } from '../../../src/host/words/instants.js';
import { harmlessJson } from '../../../src/host/words/text.js';

export type AccessFacts = Readonly<Record<string, unknown>> & { readonly action: string };

/** The keys of a record from `time` on, without braces. */
export function accessBody(timeMs: number, facts: AccessFacts): string {
  const rest = harmlessJson(JSON.stringify(facts)).slice(1, -1);
  return `"time":"${formatTime(timeMs)}","event":"access",${rest}`;
}

/** A whole line, without its end. */
export function accessLine(seq: number, timeMs: number, facts: AccessFacts): string {
  const [prev, hash] = ['0'.repeat(64), '1'.repeat(64)];
  return `{"seq":${seq},${accessBody(timeMs, facts)},"prev":"${prev}","hash":"${hash}"}`;
}

/** A request as people make them. */
export const usualRequest = {
  action: 'requested',
  listener: 'support',
  principal: 'anna@support',
  policy: 'support',
  version: 'ab'.repeat(32),
  request: '01KB3W3QZ5R7Y8F4T2M6N0P9XA',
  duration_ms: 3_600_000,
  until: '2026-11-26T16:00:00.000Z',
  uses: 3,
  scope: 'command',
  users: ['bob@example.com'],
  command: 'fetch hdr.subject mailbox INBOX all',
  reason: 'ticket 4711',
} as const;
