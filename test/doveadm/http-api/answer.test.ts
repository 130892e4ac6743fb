// What stands around the rows of an answer, and an answer that is an error: byte for byte, since programs read it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AnswerErrorType,
  answersBegin,
  answersBetween,
  answersEnd,
  encodeError,
  responseBegin,
  responseEnd,
} from '../../../src/doveadm/http-api/answer.js';

const none = { exitCode: 1, code: 'c', message: undefined, id: undefined };

test('two answers, one of them an error', () => {
  const error = encodeError({ ...none, type: 'exitCode' }, 't2');
  assert.equal(
    `${answersBegin}${responseBegin}[]${responseEnd('t"1')}${answersBetween}${error}${answersEnd}`,
    '[["doveadmResponse",[],"t\\"1"],["error",{"type":"exitCode","exitCode":1,"code":"c"},"t2"]]',
  );
});

test('an error has what is known of it, in this order', () => {
  const all = { exitCode: 75, code: 'busy', message: 'a "b"', retryAfterS: 0, id: 'I"' };
  assert.equal(
    encodeError({ ...all, type: 'internalError' }, '"'),
    '["error",{"type":"internalError","exitCode":75,"code":"busy","message":"a \\"b\\"","retryAfter":0,"id":"I\\""},"\\""]',
  );
  const types: AnswerErrorType[] = ['unknownMethod', 'unAuthorized', 'invalidRequest'];
  for (const type of types) assert.ok(encodeError({ ...none, type }, 't').includes(`{"type":"${type}",`));
});
