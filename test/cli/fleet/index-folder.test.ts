// Goal: the index is written as it grows and goes on after a restart; what was read again from the first message replaces it; a gap stays a
// gap; what cannot be trusted is removed or left out; and all files together stay within their bound.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { openIndexWriter, readIndex } from '../../../src/cli/fleet/index-folder.js';
import { makeSignKey, parseSignKey } from '../../../src/domain/audit/ledger.js';
import type { FleetMessage } from '../../../src/domain/fleet/shapes.js';
import { openFolder } from '../../kit/folder.js';

const signer = parseSignKey(makeSignKey().secretPem);

/** A message of a subject of its own, with one admission for each user. */
function messageOf(streamSeq: number, users: readonly string[] = ['a@x']): FleetMessage {
  const lines = users.map(
    (user, at) =>
      `{"seq":${at + 1},"time":"2026-11-20T08:00:00.000Z","event":"admission","id":"E${at}","command":"quota get","user":"${user}","users":["${user}"]}\n`,
  );
  return {
    streamSeq,
    storedMs: streamSeq,
    subject: `dovegate.audit.gate1.${'ab'.repeat(16)}`,
    header: () => '',
    bytes: Buffer.from(lines.join('')),
  };
}

const rangesOf = (state: string) => readIndex(state, 'S', signer.key).map(({ from, to }) => `${from}-${to}`);

void test('saved, gone on with, and read again from the first message', (t) => {
  const state = openFolder(t);
  const first = openIndexWriter(state, 'S', signer);
  first.begin(1);
  first.take(messageOf(1), true);
  first.save();
  first.take(messageOf(2), true);
  first.save();
  assert.deepEqual(rangesOf(state), ['1-2']);
  // The state that was saved last is older.
  const second = openIndexWriter(state, 'S', signer);
  second.begin(2);
  second.take(messageOf(2), true);
  second.take(messageOf(3), true);
  second.save();
  assert.deepEqual(rangesOf(state), ['1-3']);
  const [file] = readIndex(state, 'S', signer.key);
  assert.deepEqual(
    file?.find('a@x').map(({ streamSeq }) => streamSeq),
    [1, 2, 3],
  );
  // Messages that the index never saw: a file of its own.
  const third = openIndexWriter(state, 'S', signer);
  third.begin(7);
  third.take(messageOf(7), true);
  third.save();
  assert.deepEqual(rangesOf(state), ['1-3', '7-7']);
  const fourth = openIndexWriter(state, 'S', signer);
  fourth.begin(1);
  assert.deepEqual(rangesOf(state), []);
  fourth.take(messageOf(1), true);
  fourth.save();
  assert.deepEqual(rangesOf(state), ['1-1']);
  assert.equal(statSync(join(state, 'index', 'S-0000000000000001.jsonl')).mode & 0o077, 0);
  assert.deepEqual(readIndex(state, 'OTHER', signer.key), []);
});

void test('a file that was changed is left out, and not gone on with', (t) => {
  const state = openFolder(t);
  const first = openIndexWriter(state, 'S', signer);
  first.begin(1);
  first.take(messageOf(1), true);
  first.save();
  const path = join(state, 'index', 'S-0000000000000001.jsonl');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"a@x"', '"b@x"'));
  assert.deepEqual(rangesOf(state), []);
  const second = openIndexWriter(state, 'S', signer);
  second.begin(2);
  second.take(messageOf(2), true);
  second.save();
  assert.deepEqual(rangesOf(state), ['2-2']);
  // Under another name, and as another stream's.
  writeFileSync(join(state, 'index', 'S-nothing.jsonl'), '');
  writeFileSync(
    join(state, 'index', 'T-0000000000000002.jsonl'),
    readFileSync(join(state, 'index', 'S-0000000000000002.jsonl')),
  );
  assert.deepEqual(rangesOf(state), ['2-2']);
  assert.deepEqual(readIndex(state, 'T', signer.key), []);
});

// bounds.fleetIndexBytes
void test('of more bytes than are kept, the files of the newest messages', (t) => {
  assert.equal(bounds.fleetIndexBytes, 256 * 1024 ** 2);
  const state = openFolder(t);
  const writer = openIndexWriter(state, 'S', signer, 700_000);
  writer.begin(1);
  // 4096 messages fill a file.
  for (let at = 1; at <= 4 * 4096; at += 1) writer.take(messageOf(at), true);
  writer.save();
  const sizes = readdirSync(join(state, 'index')).map((name) => statSync(join(state, 'index', name)).size);
  const sum = sizes.reduce((all, size) => all + size, 0);
  assert.ok(sum <= 700_000, `${sum} bytes in ${sizes.length} files`);
  assert.deepEqual(rangesOf(state), ['8193-12288', '12289-16384']);
});
