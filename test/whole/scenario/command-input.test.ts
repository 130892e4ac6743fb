// Goal: texts go up to a backend once, whole, and as texts, and what they say is written nowhere. Phases: texts of every kind; a stop
// within two of them. What breaks off a text at either end is tested in test/gate (upload, duplex, exchange.input) and in front of real
// Dovecots.
// What must not happen: a line of a text among a backend's commands; a dot that the client did not send.
// bounds.inputBytes, bounds.inputMs, bounds.bufferedBytes: test/gate/session/session.test.ts, test/gate/relay/upload.buffer.test.ts.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openGateway, recordsOf } from '../../kit/gate/gateway.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const alice = 'alice@example.org';
const policy = `
    users: ["*@example.org"]
    allow: [quota get, mailbox list, save]`;
/** Lines that would be commands, in every way that a text can begin. */
const trap = `\t${alice}\tmailbox list\tZanzibar*\nv\t${alice}\tmailbox list\tZanzibar*\r\n.\t${alice}\tmailbox list\tZanzibar*\n..\n\n\t${alice}\tmailbox list\tZanzibar*\n`;
/** So long that an upstream is asked for before its end is here. */
const long = trap.repeat(8_000);

async function save(client: RawClient, text: string): Promise<void> {
  client.sendCommand({ user: alice, fields: ['save'] });
  await client.write(text.replace(/^\./gm, '..'));
}

test('texts of every kind arrive as they are; the record has bytes and HMAC; a stop within a text sends no dot', async (t) => {
  const { client, backend, daemon } = await openGateway(t, { policy, more: 'limits: { drain: 300ms }' });
  const inputs = () => backend.records.flatMap((record) => record.inputs.map(String));
  const completions = () => recordsOf(daemon, 'completion');
  const one = await client();
  const texts = ['', 'x', 'Subject: x\n\nhello\n', trap, '.\n..\n.', 'a\rb\n\n', long];
  for (const text of texts) {
    await save(one, text);
    await one.write('\n.\n');
    assert.equal((await one.readReply()).status, '+');
  }
  assert.equal((await one.ask({ user: alice, fields: ['quota get'] })).status, '+');
  assert.deepEqual(
    backend.commands.map(({ fields }) => fields[0]),
    [...texts.map(() => 'save'), 'quota get'],
  );
  assert.equal(new Set(backend.commands.map(({ connection }) => connection)).size, texts.length + 1);
  // The scripted server reads lines: a CR before an LF is part of the line's end to it.
  const asRead = texts.map((text) => text.replaceAll('\r\n', '\n'));
  assert.deepEqual(inputs(), asRead);
  await until(() => completions().length === texts.length + 1, 'the completions');
  const directory = daemon.path('audit');
  const keyFile = readdirSync(directory).find((name) => name.includes('hmac')) ?? assert.fail();
  const key = readFileSync(join(directory, keyFile), 'utf8').trim();
  assert.deepEqual(
    completions().map(({ input }) => input),
    [
      ...texts.map((text) => ({
        bytes: Buffer.byteLength(text),
        hmac: createHmac('sha256', key).update(text).digest('hex'),
      })),
      undefined,
    ],
  );

  const [short, longer] = [await client(), await client()];
  await save(short, trap);
  await save(longer, long);
  await backend.waitFor(({ commands }) => commands.length === texts.length + 2, 'the long one');
  daemon.signal('SIGTERM');
  for (const each of [short, longer]) assert.equal((await each.readReply()).status, '-TEMPFAIL');
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  assert.deepEqual(inputs(), asRead);
  assert.deepEqual(
    completions()
      .slice(-2)
      .map(({ outcome, error }) => [outcome, error]),
    [
      ['failed', 'draining'],
      ['failed', 'draining'],
    ],
  );
  assert.deepEqual(daemon.grepSecrets(['Zanzibar']), []);
});
