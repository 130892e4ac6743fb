// Goal: a principal is the best name that was proved, and no two people share one on a listener.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Peer, parsePrincipal, principalOf } from '../../../src/domain/identity/peer.js';

const table: readonly (readonly [peer: Peer, account: string | undefined, expected: string])[] = [
  [{ listener: 'support', uid: 1001, user: 'alice' }, undefined, 'alice@support'],
  [{ listener: 'support', uid: 1001, user: 'alice@corp.example' }, undefined, 'alice@corp.example@support'],
  [{ listener: 'support', uid: 1001 }, undefined, '1001@support'],
  [{ listener: 'support', uid: 0, user: 'root' }, undefined, 'root@support'],
  [{ listener: 'support', uid: 0 }, undefined, '0@support'],
  [{ listener: 'jobs', address: '192.0.2.1' }, 'migrator', 'migrator@jobs'],
  [{ listener: 'jobs', address: '192.0.2.1' }, '', '-@jobs'],
  [{ listener: 'jobs' }, undefined, '-@jobs'],
  // Names that look like something else give way to the uid.
  [{ listener: 'support', uid: 1001, user: '0' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: '-' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: '' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: 'a b' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: 'a\nb' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: 'a\u202eb' }, undefined, '1001@support'],
];

for (const [peer, account, expected] of table) {
  void test(`${JSON.stringify(peer)} with account ${account} is ${expected}`, () => {
    const principal = principalOf(peer, account);
    assert.equal(principal.text, expected);
    assert.deepEqual(parsePrincipal(expected), principal);
  });
}

void test('what is no principal is not read as one', () => {
  for (const text of ['', '@', 'alice', '@support', 'alice@']) assert.equal(parsePrincipal(text), undefined);
});
