// Goal: every form in which clients send a key or a password is read, in any case of the scheme. What must not happen: a mistyped key that
// is taken for a password, or a header that throws.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAuthorization } from '../../../src/domain/keys/authorization.js';
import { keyBytes, makeKey } from '../../../src/domain/keys/key.js';

const key = makeKey(Buffer.alloc(keyBytes, 7));
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const unpadded = (text: string): string => base64(text).replaceAll('=', '');

function told(header: string | undefined): string {
  const read = readAuthorization(header);
  if (read.kind === 'key') {
    const text = read.text === key ? 'KEY' : read.text;
    return read.name === undefined ? `key ${text}` : `key ${text} of ${read.name}`;
  }
  if (read.kind === 'password') return `password ${read.user} ${read.password.toString('utf8')}`;
  return read.kind;
}

void test('the table of forms', () => {
  const mistyped = `${key.slice(0, -1)}!`;
  const cases: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'none'],
    ['', 'none'],
    ['  ', 'none'],
    [`X-Dovecot-API ${base64(key)}`, 'key KEY'],
    [`x-dovecot-api ${base64(key)}`, 'key KEY'],
    [`X-DOVECOT-API   ${unpadded(key)}  `, 'key KEY'],
    [`X-Dovecot-API ${key}`, 'key KEY'],
    [`X-Dovecot-API ${base64('secret')}`, `key ${base64('secret')}`],
    ['X-Dovecot-API secret', 'key secret'],
    ['X-Dovecot-API', 'malformed'],
    [`Basic ${base64(`doveadm:${key}`)}`, 'key KEY'],
    [`basic ${base64(`modoboa:${key}`)}`, 'key KEY of modoboa'],
    [`Basic ${base64(`Doveadm:${key}`)}`, 'key KEY of Doveadm'],
    [`Basic ${base64(`:${key}`)}`, 'key KEY of '],
    [`Basic ${base64(`doveadm:${mistyped}`)}`, `key ${mistyped}`],
    [`BASIC ${base64('migrator:pass:word')}`, 'password migrator pass:word'],
    [`Basic ${base64('migrätor:päss')}`, 'password migrätor päss'],
    [`Basic ${unpadded('a:b')}`, 'password a b'],
    [`Basic ${base64('migrator:')}`, 'password migrator '],
    [`Basic ${base64('migrator')}`, 'malformed'],
    [`Basic ${key}`, 'malformed'],
    ['Basic', 'malformed'],
    ['Basic ====', 'malformed'],
    [`Bearer ${key}`, 'key KEY'],
    [`bearer\t${key}`, 'key KEY'],
    ['Bearer nonsense', 'key nonsense'],
    ['Bearer', 'malformed'],
    [key, 'malformed'],
    [`Digest username="doveadm", response="${key}"`, 'malformed'],
    [`Negotiate ${base64(key)}`, 'malformed'],
  ];
  for (const [header, expected] of cases) assert.equal(told(header), expected, header ?? '(no header)');
});

void test('the password can be wiped', () => {
  const read = readAuthorization(`Basic ${base64('migrator:secret')}`);
  assert.ok(read.kind === 'password');
  read.password.fill(0);
  assert.equal(read.user, 'migrator');
});
