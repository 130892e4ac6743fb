// Goal: a command that a file of the site adds goes to the backend as any other. Phases: a start with the file, whose hash and text the
// journal has; the command by a client, `send`, completion, `explain`, `can` and HTTP; a reload with a broken file, and with another one.
// What must not happen: the command reaches the backend where no rule names it, or with arguments that the file does not have; a reload
// with a broken file changes anything.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { catalogHash } from '../../../src/doveadm/commands/catalog.js';
import { sha256Hex } from '../../../src/host/values/digest.js';
import { openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { cannedScript } from '../../kit/gate/script.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askRaw, encodePost } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const user = 'alice@example.org';
const scan = {
  name: 'site scan',
  scope: 'user',
  effect: 'read',
  params: [{ name: 'mailbox', type: 'str', positional: true, role: 'mailbox' }],
};
const fileOf = (...commands: object[]): string => JSON.stringify({ series: '2.4', commands }, null, 2);
const first = fileOf(scan, { name: 'site expire', scope: 'user' });
const second = fileOf({ ...scan, effect: 'write', params: [] });

test('commands that a file adds', { timeout: 120_000 }, async (t) => {
  const { daemon, backend, client } = await openGateway(t, {
    backend: { minor: 3, script: cannedScript({ 'site scan': { rows: [['one', 'two']] } }) },
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  panel: { unix: panel.sock, protocol: http, mode: "0600", policy: support }`,
    policy: `
    users: ["*@example.org"]
    allow: [quota get, site scan]`,
    files: { 'site.json': first },
    mail1: { series: '"2.4"' },
    more: 'catalog: site.json\nadmin: { unix: admin.sock }\n',
  });
  const sent = (): string[] =>
    backend.commands.map(({ fields }) => fields.join(' ')).filter((line) => line.startsWith('site'));
  const catalogOf = (text: string): string => `${catalogHash}+${sha256Hex(text)}`;
  const kept = (text: string): string =>
    readFileSync(daemon.path(`audit/policies/${sha256Hex(text)}.yaml`), 'utf8');
  /** The last record of an event, when there are so many. */
  const recorded = async (event: string, count: number): Promise<Readonly<Record<string, unknown>>> => {
    await until(() => recordsOf(daemon, event).length >= count, `${count} records of ${event}`);
    return recordsOf(daemon, event).at(-1) ?? assert.fail();
  };
  assert.equal((await recorded('start', 1))['catalog'], catalogOf(first));
  assert.equal(kept(first), first);

  // A client of the protocol.
  const one = await client({ minor: 3 });
  const ask = async (...fields: string[]): Promise<string> => (await one.ask({ user, fields })).status;
  assert.equal(await ask('site', 'scan', 'INBOX'), '+');
  assert.equal(await ask('site scan', 'INBOX', 'more'), '-USAGE');
  assert.equal(await ask('site expire'), '-NOPERM');
  assert.equal(await ask('site else'), '-USAGE');
  assert.deepEqual(sent(), ['site scan -- INBOX']);
  await recorded('admission', 4);
  const [admitted] = recordsOf(daemon, 'admission');
  assert.deepEqual(
    [admitted?.['command'], admitted?.['args'], admitted?.['effect'], admitted?.['decision']],
    ['site scan', ['--', 'INBOX'], 'read', 'allow'],
  );

  // The programs that ask the daemon.
  const socket = ['--socket', daemon.path('support.sock')];
  const by = async (...args: string[]): Promise<string> => {
    const { exit, stdout, stderr } = await runWarm(args);
    return `${exit} ${stdout.toString()}${stderr}`;
  };
  assert.match(
    await by('send', ...socket, '--user', user, '--', 'site', 'scan', 'Archive'),
    /^0 .*one.*two/s,
  );
  assert.match(
    await by('send', ...socket, '--user', user, '--', 'site', 'scam', 'x'),
    /^64 .*no such command/s,
  );
  assert.deepEqual(sent(), ['site scan -- INBOX', 'site scan -- Archive']);
  daemon.write('users', `${user}\nerin@example.org\n`);
  const forAll = ['send', ...socket, '--users', daemon.path('users'), '--'];
  assert.match(await by(...forAll, 'site', 'scan', 'Archive'), /^0 .*2 ok/s);
  assert.match(
    await by(...forAll, 'site', 'scam', 'x'),
    /^64 .*the server knows no command "site scam" for one mailbox user/s,
  );
  assert.deepEqual(sent().slice(2), ['site scan -- Archive', 'site scan -- Archive']);
  assert.match(await by('can', ...socket), /^ {2}site scan +read/m);
  assert.match(await by('explain', ...socket, '--user', user, '--', 'site', 'scan', 'INBOX'), /^0 allowed/);
  assert.match(await by('explain', ...socket, '--user', user, '--', 'site', 'expire'), /^77 denied/);

  // HTTP.
  const parameters = { user, mailbox: 'INBOX' };
  const answer = await askRaw(
    { path: daemon.path('panel.sock') },
    encodePost({ body: JSON.stringify([['siteScan', parameters, 'a']]) }),
  );
  assert.match(answer.body.toString(), /"error",\{"type":"[a-zA-Z]+","exitCode":\d+/);
  assert.match(answer.body.toString(), /not-over-http/);
  assert.equal(sent().length, 4);

  const metrics = await askRaw(
    { path: daemon.path('admin.sock') },
    'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  );
  assert.match(metrics.body.toString(), /exchanges_total\{[^}]*command="site scan"/);

  // Another file: a broken one changes nothing.
  const reload = async (text: string, event: 'reloaded' | 'reload-failed'): Promise<void> => {
    daemon.write('site.json', text);
    await daemon.reload(undefined, event);
  };
  await reload(fileOf({ name: 'quota get', scope: 'user' }), 'reload-failed');
  assert.equal(await ask('site scan', 'INBOX'), '+');
  await reload(second, 'reloaded');
  assert.equal(await ask('site scan', 'INBOX'), '-USAGE');
  assert.equal(await ask('site scan'), '+');
  assert.equal(sent().at(-1), 'site scan --');
  assert.equal((await recorded('reload', 1))['catalog'], catalogOf(second));
  assert.equal(kept(second), second);
  assert.equal(kept(first), first);
  await daemon.stop();
  const last = recordsOf(daemon, 'admission').at(-1);
  assert.deepEqual([last?.['command'], last?.['effect']], ['site scan', 'write']);
});
