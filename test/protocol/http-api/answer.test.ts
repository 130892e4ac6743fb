// Answers of commands: what stands around the rows, errors, exit codes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeError, responseBegin, responseEnd } from '../../../src/protocol/http-api/answer.js';
import { exitCodeOf } from '../../../src/protocol/reply/reply.js';

void test('errors, tags and exit codes', () => {
  const error = {
    type: 'exitCode',
    exitCode: 67,
    code: 'no-route',
    message: undefined,
    id: undefined,
  } as const;
  assert.equal(
    encodeError(error, 't1'),
    '["error",{"type":"exitCode","exitCode":67,"code":"no-route"},"t1"]',
  );
  assert.equal(
    encodeError({ ...error, message: 'no "x"', retryAfterS: 5, id: '01ABC' }, ''),
    '["error",{"type":"exitCode","exitCode":67,"code":"no-route","message":"no \\"x\\"","retryAfter":5,"id":"01ABC"},""]',
  );
  assert.equal(`${responseBegin}[]${responseEnd('t"\u00e9\n')}`, '["doveadmResponse",[],"t\\"\u00e9\\n"]');
  const codes =
    ' NOUSER NOTFOUND USAGE DATAERR NOPERM TEMPFAIL PROTOCOL CHANGED EXPIRED UNKNOWN NOREPLICATE 75'.split(
      ' ',
    );
  assert.deepEqual(codes.map(exitCodeOf), [0, 67, 68, 64, 65, 77, 75, 76, 2, 1003, -1, -1, -1]);
});
