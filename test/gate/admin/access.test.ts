// Who gets in by which door. The forms of Host are those of the page, from the same place: page-access.test.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AccessRefusal, type Door, refuseAccess } from '../../../src/gate/admin/access.js';
import { Secret } from '../../../src/rules/identity/credentials.js';

const unix: Door = { kind: 'unix' };
const local = { isRemote: false, hasTls: false };
const open: Door = { kind: 'tcp', host: '127.0.0.1', ...local, token: undefined };
const token = new Secret('correct-horse-battery');
const guarded: Door = { kind: 'tcp', host: 'gate.internal', ...local, token };
const remote: Door = { kind: 'tcp', host: '0.0.0.0', isRemote: true, hasTls: true, token };

const right = 'Bearer correct-horse-battery';
const cases: readonly [
  why: string,
  door: Door,
  host: string | undefined,
  authorization: string | undefined,
  isHarmless: boolean,
  refused: AccessRefusal | undefined,
][] = [
  ['the UNIX socket shows all, whatever is said', unix, 'evil.example', undefined, false, undefined],
  ['health over TCP without a token', open, '127.0.0.1:9146', undefined, true, undefined],
  ['status over TCP where no token is set', open, '127.0.0.1:9146', right, false, 'no-token-set'],
  ['health where a token is set, without it', guarded, 'localhost', undefined, true, undefined],
  ['status with the token', guarded, 'localhost', right, false, undefined],
  ['any case of the scheme', guarded, 'localhost', 'bearer   correct-horse-battery ', false, undefined],
  ['no token given', guarded, 'localhost', undefined, false, 'token-needed'],
  ['a wrong token', guarded, 'localhost', 'Bearer correct-horse-batterx', false, 'token-needed'],
  ['the beginning of the token', guarded, 'localhost', 'Bearer correct-horse', false, 'token-needed'],
  ['more than the token', guarded, 'localhost', `${right}x`, false, 'token-needed'],
  ['two words', guarded, 'localhost', `${right} x`, false, 'token-needed'],
  ['another scheme', guarded, 'localhost', 'Basic correct-horse-battery', false, 'token-needed'],
  ['an empty token', guarded, 'localhost', 'Bearer ', false, 'token-needed'],
  ['no Host, as HTTP/1.0', open, undefined, undefined, true, undefined],
  ['its own name', guarded, 'Gate.Internal:9146', undefined, true, undefined],
  ['a name of somebody else', open, 'evil.example:9146', undefined, true, 'wrong-host'],
  ['also with the token', guarded, 'evil.example', right, false, 'wrong-host'],
  ['metrics from elsewhere with the token', remote, 'mail1.example.com:9146', right, true, undefined],
  ['metrics from elsewhere without it', remote, 'mail1.example.com:9146', undefined, true, 'token-needed'],
  ['health from elsewhere without it', remote, '127.0.0.1', undefined, true, 'token-needed'],
  ['an action from elsewhere with a wrong one', remote, 'mail1', 'Bearer x', false, 'token-needed'],
  ['an action from elsewhere with the token', remote, 'mail1', right, false, undefined],
];

for (const [why, door, host, authorization, isHarmless, refused] of cases) {
  test(`${why}: ${refused ?? 'passes'}`, () => {
    assert.equal(refuseAccess(door, { host, authorization }, isHarmless), refused);
  });
}
