// What follows from the endings of commands with input. The rule that the table holds: `unknown` only where the backend may have
// carried something out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DuplexEnd, type Ending, judgeEnding } from '../../../src/gateway/outcome/outcome.js';

import { parseStatus, type Status } from '../../../src/protocol/reply/reply.js';

const status = (line: string): Status => parseStatus(Buffer.from(line));
const refused = (answer: Status | 'no-status' | 'broke-off'): Ending => ({
  kind: 'input-refused',
  backend: 'mail1',
  answer,
});
const duplex = (how: DuplexEnd): Ending => ({
  kind: 'duplex-ended',
  backend: 'mail1',
  how,
});

// [ending, code, outcome, error]
const endings: readonly (readonly [Ending, string | undefined, string, string | undefined])[] = [
  [{ kind: 'input-ended', why: 'cut' }, 'TEMPFAIL', 'aborted', 'input-cut'],
  [{ kind: 'input-ended', why: 'too-long' }, 'DATAERR', 'limited', 'input-too-long'],
  [{ kind: 'input-ended', why: 'late' }, 'TEMPFAIL', 'timeout', 'input-late'],
  [{ kind: 'input-ended', why: 'slow' }, 'TEMPFAIL', 'aborted', 'client-slow'],
  [{ kind: 'input-ended', why: 'over-share' }, 'TEMPFAIL', 'aborted', 'over-share'],
  [{ kind: 'input-ended', why: 'command-like' }, 'DATAERR', 'failed', 'input-command-like'],
  [refused(status('-USAGE')), 'USAGE', 'failed', 'early-answer'],
  [refused(status('-')), 'UNKNOWN', 'failed', 'early-answer'],
  [refused(status('+')), 'TEMPFAIL', 'unknown', 'early-answer'],
  [refused(status('-REFERRAL a@b')), 'TEMPFAIL', 'unknown', 'early-answer'],
  [refused('no-status'), 'TEMPFAIL', 'unknown', 'early-answer'],
  [refused('broke-off'), 'TEMPFAIL', 'failed', 'closed-early'],
  [duplex('ended'), undefined, 'ok', undefined],
  [duplex('backend-broke'), undefined, 'unknown', 'closed-early'],
  [duplex('idle'), undefined, 'timeout', 'reply-timeout'],
  [duplex('client-stall'), undefined, 'aborted', 'client-stall'],
  [duplex('client-gone'), undefined, 'aborted', 'client-gone'],
  [duplex('draining'), undefined, 'unknown', 'draining'],
  [duplex('killed'), undefined, 'unknown', 'killed'],
];
for (const [ending, code, outcome, error] of endings) {
  void test(`${JSON.stringify(ending)}: ${outcome}`, () => {
    const verdict = judgeEnding(ending);
    assert.deepEqual([verdict.code, verdict.outcome, verdict.error], [code, outcome, error]);
    // Whatever is no success has a sentence, and the client hears it unless its stream has begun.
    assert.equal(verdict.text === undefined, outcome === 'ok');
    assert.equal(verdict.clientCode !== undefined, ending.kind !== 'duplex-ended');
  });
}
