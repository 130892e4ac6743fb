// Goal: what was appended to the journal of a stopped gate never reaches the stream, and whoever verifies it is told. One real gate, which
// ships to a real server, is stopped; somebody without the key appends a command; the gate is started again.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import { segmentFiles } from '../../journal/files/reading.js';
import { openNatsServer } from '../../kit/gate/nats.js';
import { openAdministrator } from './administrator.js';
import { assertSameLines, openFleetGate } from './gate.js';
import { openVerifier } from './verifier.js';

const host = 'gate-1';

test('a gate whose journal was appended to while it was stopped', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: [host] });
  if ('skip' in nats) return t.skip(nats.skip);
  const administrator = await openAdministrator(t, nats);
  await administrator.createStreams();
  const gate = await openFleetGate(t, nats, { host });
  const verifier = openVerifier(t, { nats, hosts: { [host]: `{ key: "${gate.key}" }` }, more: 'drift: 1h' });
  gate.work();
  await gate.untilAnswered(50);
  await gate.rest();
  await gate.catchUp();
  await gate.stop();

  const directory = gate.daemon.path('audit');
  const path = join(directory, segmentFiles(directory).at(-1) ?? '');
  const { seq, hash } = JSON.parse(readFileSync(path, 'utf8').trimEnd().split('\n').at(-1) ?? '');
  const command = {
    session: '01FORGED',
    id: '01FORGEDEXCHANGE',
    principal: 'carol@support',
    command: 'quota get',
  };
  const admission = { time: Date.now(), event: 'admission', ...command, decision: 'allow' } as const;
  writeFileSync(path, sealLine(seq + 1, encodeBody(admission), hash).line, { flag: 'a' });

  await gate.start();
  gate.work();
  await gate.untilAnswered(10);
  await gate.rest();
  // It goes on while this is compared: a checkpoint may come at any time.
  const journal = gate.journal();
  await gate.catchUp();
  const stored = Buffer.concat((await administrator.readAll('dovegate.audit.>')).map(({ bytes }) => bytes));
  assert.doesNotMatch(stored.toString(), /01FORGED/);
  assertSameLines(stored.subarray(0, journal.length), journal);
  const verified = await verifier.verify();
  assert.equal(verified.exit, 1, verified.text);
  assert.deepEqual(
    verified.findings.map(({ kind, seq: at }) => [kind, at]),
    [['journal-appended', seq + 1]],
    verified.text,
  );
});
