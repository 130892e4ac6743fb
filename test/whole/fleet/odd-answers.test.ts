// Goal: a server that answers JetStream's questions with other values gets a fault, and no number of it reaches a report.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { openNatsServer } from '../../kit/gate/nats.js';
import { skipOf } from './fleet-lab.js';

const stream = 'DOVEGATE_AUDIT';

void test('answers of a server that is none are refused, and no number of them is used', {
  timeout: 60_000,
}, async (t) => {
  const nats = await openNatsServer(t, {
    gates: ['gate1'],
    users: 'certificates',
    // Without JetStream its subjects are like any others.
    configuration: (folder, port) => `listen: "127.0.0.1:${port}"
tls: { cert_file: "${folder}/server.pem", key_file: "${folder}/server.key", ca_file: "${folder}/ca.pem", verify: true }
`,
  });
  if (skipOf(t, nats)) return;
  const responder = await nats.connect('admin');
  t.after(() => responder.close());
  const zero = '0001-01-01T00:00:00Z';
  const state = { first_seq: 1, last_seq: 0, first_ts: zero, last_ts: zero, messages: 0, bytes: 0 };
  const good = { created: '2026-11-20T08:00:00Z', state, config: {} };
  let answer: object = good;
  responder.subscribe('$JS.API.STREAM.INFO.*', {
    callback: (_fault, message) => void message.respond(JSON.stringify(answer)),
  });
  await responder.flush();
  const link = await openNats(nats.settingsOf('verifier'));
  t.after(() => link.close());
  assert.equal((await link.info(stream)).messages, 0);
  for (const odd of [
    {},
    { ...good, created: 7 },
    { ...good, state: { ...state, messages: 'many' } },
    { ...good, state: { ...state, first_seq: undefined } },
    { ...good, state: { ...state, last_seq: -1 } },
    { ...good, state: { ...state, bytes: 1e300 } },
    { ...good, state: { ...state, last_ts: 'noon' } },
  ]) {
    answer = odd;
    await assert.rejects(
      link.info(stream),
      (fault: unknown) =>
        fault instanceof NatsFault &&
        fault.code === 'refused' &&
        fault.message.endsWith('the answer is not of JetStream'),
    );
  }
});
