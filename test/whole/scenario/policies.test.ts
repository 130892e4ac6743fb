// Goal: what a policy says holds on the wire, for its listener alone. Phases: one command at a time; limits and reasons; log lines. What
// must not happen: an answer without its record.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { createGate } from '../../kit/gate/script.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

/** A listener and a policy of its own for each. */
const policies = {
  limited: `
    users: ["*@example.org"]
    allow:
      - { command: quota get, limit: 2/hour }
      - { command: mailbox list, reason: required }`,
  observing: `
    mode: observe
    users: ["*@example.org"]
    allow: [mailbox list]`,
  careful: `
    users: ["*@example.org"]
    allow:
      - { command: expunge, max_matches: 3, where: { query: { mailbox: [Trash] } } }`,
  single: `
    users: ["*@example.org"]
    allow: [quota get]
    limits: { at_once: 1 }`,
};

test('policies beside one another', async (t) => {
  const names = Object.keys(policies);
  const { client, backend, daemon } = await openGateway(t, {
    mail1: { idle: '1' },
    listeners: ['support', ...names]
      .map((name) => `\n  ${name}: { unix: ${name}.sock, mode: "0600", policy: ${name} }`)
      .join(''),
    policy: `
    users: ["*@example.org"]
    allow: [quota get, search]${Object.entries(policies)
      .map(([name, text]) => `\n  ${name}:${text}`)
      .join('')}`,
  });
  const at = async (name: keyof typeof policies): Promise<RawClient> => {
    const one = await openRawClient({ path: daemon.path(`${name}.sock`), minor: 2, owner: t });
    return one;
  };

  await t.test('at_once: the next command of a principal waits its turn', async () => {
    const gates = [createGate(), createGate()];
    backend.change({
      script: async (_command, connection) => {
        await gates[connection.number - 1]?.opened;
        await connection.status('+');
      },
    });
    const [one, two] = [await at('single'), await at('single')];
    one.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
    await backend.waitFor(({ commands }) => commands.length === 1, 'the first command');
    two.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
    const waiting = two.readReply();
    gates[0]?.open();
    assert.equal((await one.readReply()).status, '+');
    assert.equal((await waiting).status, '+');
    // The second one came when the first was done: over the same upstream.
    assert.deepEqual(
      backend.commands.map(({ connection }) => connection),
      [1, 1],
    );
  });

  await t.test('limits, reasons and modes of a policy hold on the wire', async () => {
    const one = await at('limited');
    const ask = async (...fields: string[]) => {
      return one.ask({ user: 'alice@example.org', fields });
    };
    assert.equal((await ask('quota get')).status, '+');
    assert.equal((await ask('quota get')).status, '+');
    const third = await ask('quota get');
    assert.equal(third.status, '-TEMPFAIL');
    assert.match(
      third.logs[0]?.text ?? '',
      /over the limit of a rule of policy limited \(2\/hour\) \[over-limit\], try again in \d+ s, id /,
    );
    assert.equal((await ask('mailbox list')).status, '-NOPERM');
    // A blank, an escaped LF, a zero-width space, two letters.
    for (const reason of ['', ' ', '\u0001n', '\u200b', 'ok']) {
      one.send(`\t\tOPTION\tdovegate-reason=${reason}`);
      assert.equal((await ask('mailbox list')).status, '-NOPERM', JSON.stringify(reason));
    }
    one.send('\t\tOPTION\tdovegate-reason=ticket 42');
    assert.equal((await ask('mailbox list')).status, '+');
    assert.equal((await ask('mailbox list')).status, '-NOPERM');
    const records = () =>
      auditRecords(daemon).filter(({ principal }) => String(principal).endsWith('@limited'));
    const isLimited = (record: Readonly<Record<string, unknown>>): boolean =>
      record['outcome'] === 'limited' && record['sent'] === false;
    await until(() => auditRecords(daemon).some(isLimited), 'the record of what was over a limit');
    assert.deepEqual(
      records().flatMap(({ event, reason }) =>
        event === 'admission' && reason !== undefined ? [reason] : [],
      ),
      ['', ' ', '\n', '\u200b', 'ok', 'ticket 42'],
    );
  });

  await t.test('log lines become records, and reach the client only as its policy says', async () => {
    backend.change({
      script: async (command, connection) => {
        await connection.log('warning', `doveadm(${command.user})<1><a>: secret-path /srv/mail`);
        await connection.row('x');
        await connection.log('error', `doveadm(someone@else.org)<1><a>: not yours`);
        await connection.status(command.fields[0] === 'search' ? '-NOTFOUND' : '+');
      },
    });
    const one = await client();
    assert.deepEqual((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).logs, []);
    assert.deepEqual((await one.ask({ user: 'alice@example.org', fields: ['search', 'all'] })).logs, [
      { type: 'error', text: 'dovegate: the backend says: not found [backend-failed]' },
    ]);
    const record = await daemon.waitForLog(
      (line) => line['event'] === 'backend-log' && line['command'] === 'search' && line['type'] === 'warning',
      'the log line of the search',
    );
    assert.equal(record['backend'], 'mail1');
    assert.match(String(record['upstream']), /^mail1-\d+$/);
    assert.equal(record['user'], 'alice@example.org');
    assert.match(String(record['id']), /^[0-9A-Z]{26}$/);
    assert.match(String(record['text']), /secret-path/);
    // A command whose arguments are wrong is no fault of a server; an error within one that went well is.
    for (const [name, level] of [
      ['search', 'info'],
      ['quota get', 'error'],
    ]) {
      const error = await daemon.waitForLog(
        ({ event, command, type }) => event === 'backend-log' && command === name && type === 'error',
        `the error line of ${name}`,
      );
      assert.equal(error['level'], level);
    }
  });
});
