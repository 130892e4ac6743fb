// Every captured session with an auth service, read whole, byte by byte and cut in two at every byte: always the same replies.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AuthDialogue,
  type AuthEvent,
  encodeQuestion,
  versionLine,
} from '../../../src/gate/lookup/auth-protocol.js';
import { chunkings } from '../../kit/plain/chunkings.js';
import { asExpected, authVectorsOf, bytesOf } from './captured.js';

const limits = { lineBytesMax: 65_536, fieldsMax: 256 };

function read(chunks: readonly Buffer[]): AuthEvent[] {
  const dialogue = new AuthDialogue(limits);
  const events = chunks.flatMap((chunk) => dialogue.push(chunk));
  assert.equal(dialogue.pendingBytes, 0);
  return events;
}

const servers = authVectorsOf('server');
const clients = authVectorsOf('client');

void test('what real auth services sent is read as it was written down', () => {
  assert.equal(servers.length, 242);
  let cuts = 0;
  for (const vector of servers) {
    const { bytes, boundaries } = bytesOf(vector, 's2c');
    const [, spid, ...more] = vector.expect.handshake ?? [];
    for (const { name, chunks } of chunkings(bytes, boundaries)) {
      const [greeting, ...rest] = read(chunks);
      const where = `${vector.name}, ${name}`;
      if (spid?.[0] === 'SPID') {
        assert.deepEqual(greeting, { kind: 'greeted' }, where);
        assert.deepEqual(more, []);
      } else {
        assert.deepEqual(greeting, { kind: 'wrong-type' }, where);
        assert.match(vector.name, /wrong-type|custom-name/);
      }
      const replies = rest.map((event) => (event.kind === 'reply' ? asExpected(event.reply) : event));
      assert.deepEqual(replies, vector.expect.replies, where);
      cuts += 1;
    }
  }
  assert.ok(cuts > 20_000, `${cuts} cuttings`);
});

void test('the greeting of a listener of the wrong type is found out in every release that has one', () => {
  const wrong = servers.filter((vector) => read([bytesOf(vector, 's2c').bytes])[0]?.kind === 'wrong-type');
  const releases = new Set(wrong.map(({ dovecot }) => dovecot));
  assert.deepEqual([...releases], ['2.3.13', '2.3.19.1', '2.4.1', '2.4.5']);
});

void test('what a recording service answered to real programs is what they printed', () => {
  assert.equal(clients.length, 20);
  for (const vector of clients) {
    const { bytes, boundaries } = bytesOf(vector, 's2c');
    for (const { name, chunks } of chunkings(bytes, boundaries)) {
      const texts = read(chunks).flatMap((event) => {
        if (event.kind !== 'reply') return [];
        const { user, fields = [] } = asExpected(event.reply);
        return [user, ...fields.flat()].filter((text) => typeof text === 'string');
      });
      for (const text of texts) {
        // 2.3 filters what it lists.
        if (text === 'alice@example.org' && vector.name.startsWith('authsvc-cli-list-2.3')) continue;
        assert.ok(vector.expect.stdout?.includes(text), `${vector.name}, ${name}: ${text}`);
      }
    }
  }
});

void test('our questions are those of the real programs, but for what they add', () => {
  let compared = 0;
  for (const vector of clients) {
    const sent = bytesOf(vector, 'c2s').bytes.toString();
    const [version, question, ...more] = sent.split(/\r?\n/);
    const [command, id, user] = question?.split('\t') ?? [];
    if (command !== 'PASS' && command !== 'USER') continue;
    assert.deepEqual(more, ['']);
    const kind = command === 'PASS' ? 'pass' : 'user';
    const own = encodeQuestion(kind, Number(id), user ?? '').toString();
    const theirs = question?.replace('protocol=', 'service=').replace(/\t(lip|rip|rport|debug).*/, '\n');
    assert.equal(own, theirs, vector.name);
    assert.match(version ?? '', /^VERSION\t1\t[0-4]$/);
    compared += 1;
  }
  assert.equal(compared, 8);
  assert.equal(versionLine, 'VERSION\t1\t1\n');
});
