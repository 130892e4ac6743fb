// Goal: access on request where its parts meet others: a configuration in several files, and reloads while a client waits and while a grant
// is in use. Phases: `check` names the included file; a reload that moves a rule to another line and file keeps the request; it is
// approved, and a reload keeps the grant; a rule with another text ends the next request, and its client is told; the new rule works. A
// refusal that a kill follows at once reaches its client. A start that cannot prove what lived. And an account that shows another
// certificate.
// What must not happen: a request that outlives its rule, one that ends without its rule, a client that waits for nothing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { type Daemon, runDovegate, startDaemon } from '../../kit/gate/daemon.js';
import { type Gateway, type GatewayOptions, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { authority, filesOf } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { askRaw, authorizationOf, encodePost, type HttpAnswer } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const alice = 'alice@example.org';
const words = ['--', 'fetch', 'text', 'mailbox', 'INBOX', 'all'];

const desk = (time: string): string => `policies:
  desk:
    users: ["*@example.org"]
    allow: [quota get]
    on_request:
      - { command: [search, fetch], content: true, approvals: 1, for: ${time}, uses: 2 }
`;

const people = `persons: { carol: { keys: [carol] } }
policies:
  leads: { users: ["*@example.org"], allow: [mailbox list], approve: [desk, support] }
`;

interface Panel {
  readonly gateway: Gateway;
  /** Arguments of a command of somebody who has a key: anna asks, carol approves. */
  readonly argsOf: (who: string, verb: string, args: readonly string[]) => readonly string[];
  readonly as: (who: string, verb: string, ...args: string[]) => ReturnType<typeof runWarm>;
  /** A request of anna's in JSON. */
  readonly post: (body: string) => Promise<HttpAnswer>;
}

/** A gateway that is asked over HTTP, with its policies in included files. */
async function openPanel(
  t: TestContext,
  { more = '', files = {} }: Pick<GatewayOptions, 'more' | 'files'> = {},
): Promise<Panel> {
  const [port = 0] = await freePorts(1);
  const keys = new Map(['anna', 'carol'].map((name) => [name, makeKey(randomBytes(keyBytes))]));
  const keyLines = [...keys].map(
    ([name, key]) =>
      `\n      ${name}: { hash: "${hashKey(key)}", policy: ${name === 'carol' ? 'leads' : 'desk'} }`,
  );
  const gateway = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { certificate: gate.crt, key: gate.key }
    keys:${keyLines.join('')}`,
    more: `include: [conf.d/*.yaml]\n${more}`,
    files: { ...filesOf(authority), 'conf.d/desk.yaml': desk('2h'), 'conf.d/people.yaml': people, ...files },
    backend: {
      script: async (_, connection) => {
        await connection.status('+');
      },
    },
  });
  const folder = openFolder(t);
  writeFileSync(join(folder, 'ca.pem'), authority.certificatePem);
  for (const [name, key] of keys) writeFileSync(join(folder, name), key);
  const argsOf: Panel['argsOf'] = (who, verb, args) => {
    const place = ['--http', `https://localhost:${port}`, '--ca', join(folder, 'ca.pem')];
    return [verb, ...place, '--key-file', join(folder, who), ...args];
  };
  const tls = { ca: authority.certificatePem, serverName: 'localhost' };
  const authorization = authorizationOf.key(keys.get('anna') ?? '');
  return {
    gateway,
    argsOf,
    as: (who, verb, ...args) => runWarm(argsOf(who, verb, args)),
    post: (body) =>
      askRaw({ port, tls }, encodePost({ target: '/dovegate/v1/request', authorization, body })),
  };
}

/** The requests that a person sees. Asks again while the person is over the rate of questions. */
async function listOf(as: Panel['as'], who: string): Promise<readonly AccessItem[]> {
  let list = await as(who, 'requests', '--json');
  while (list.exit === 75 && /questions a minute/.test(list.text)) {
    await pause(1000);
    list = await as(who, 'requests', '--json');
  }
  assert.equal(list.exit, 0, list.text);
  return JSON.parse(list.stdout.toString());
}

test('included files, and reloads while somebody waits', async (t) => {
  const { gateway, argsOf, as } = await openPanel(t, { more: 'admin: { unix: admin.sock }\n' });
  const { daemon } = gateway;
  const gate = (verb: string) => runWarm([verb, '--config', daemon.configFile]);
  const reload = async (): Promise<void> => {
    const done = await gate('reload');
    assert.equal(done.exit, 0, done.text);
  };
  const listed = (who: string) => listOf(as, who);
  // In a process of its own: warm ones run one command after the other.
  const ask = () =>
    runDovegate(
      argsOf('anna', 'request', ['--wait', '60s', '--user', alice, '--reason', 'ticket 1', ...words]),
    );
  const send = () => as('anna', 'send', '--user', alice, ...words);

  assert.equal((await gate('check')).exit, 0);
  daemon.write('conf.d/people.yaml', people.replace('approve: [desk, support]', 'approve: []'));
  const checked = await gate('check');
  assert.match(checked.text, /conf\.d\/desk\.yaml:6:9: .*nobody could approve it/, checked.text);
  daemon.write('conf.d/people.yaml', people);

  // Of the UNIX socket, the system's users are known.
  const given = ['--user', alice, '--reason', 'ticket 1', ...words];
  const nobody = await as('carol', 'grant', '--to', 'no-such-user-here@support', ...given);
  assert.equal(nobody.exit, 64, nobody.text);
  assert.match(nobody.text, /nobody can be "no-such-user-here@support"/);
  const somebody = await as('carol', 'grant', '--to', 'root@support', ...given);
  assert.doesNotMatch(somebody.text, /nobody can be/);

  // The same rule in another file, in another line, keeps the request.
  let waiting = ask();
  await until(async () => (await listed('carol')).length === 1, 'the request');
  const [first] = await listed('carol');
  assert.match(first?.place ?? '', /conf\.d\/desk\.yaml:6$/);
  rmSync(daemon.path('conf.d/desk.yaml'));
  daemon.write('conf.d/team.yaml', `# Moved.\n${desk('2h')}`);
  await reload();
  assert.equal((await listed('anna'))[0]?.state, 'requested');
  const approved = await as('carol', 'approve', first?.id ?? '');
  assert.equal(approved.exit, 0, approved.text);
  const granted = await waiting;
  assert.deepEqual([granted.exit, /^granted until /m.test(granted.text)], [0, true], granted.text);
  assert.equal((await send()).exit, 0);
  await reload();
  assert.equal((await send()).exit, 0);
  assert.equal((await send()).exit, 77);

  // Another text of the rule is another rule: the client that waits is told at once.
  waiting = ask();
  await until(async () => (await listed('carol')).length === 1, 'the second request');
  daemon.write('conf.d/team.yaml', desk('1h'));
  await reload();
  const ended = await waiting;
  assert.equal(ended.exit, 75, ended.text);
  assert.match(ended.text, /^ended: its rule is gone or was changed: /m);
  assert.deepEqual(await listed('carol'), []);

  // The one that a list of commands names last is a rule of its own.
  const again = await as('anna', 'request', '--json', '--user', alice, '--reason', 'ticket 2', ...words);
  assert.equal(again.exit, 0, again.text);
  const { id, for_ms: forMs }: AccessItem = JSON.parse(again.stdout.toString());
  assert.equal(forMs, 3_600_000);
  assert.equal((await as('carol', 'approve', id)).exit, 0);
  assert.equal((await send()).exit, 0);
  const actions = recordsOf(daemon, 'access').map(({ action }) => action);
  assert.deepEqual(actions.slice(-4), ['ended', 'requested', 'approved', 'granted']);
});

void test('a client that waits learns of a refusal across a kill of the daemon', async (t) => {
  const { gateway, argsOf, as } = await openPanel(t);
  const { daemon: first } = gateway;
  const asking = (reason: string, verb: string, ...how: readonly string[]) =>
    runDovegate(
      argsOf('anna', verb, [...how, '--wait', '60s', '--user', alice, '--reason', reason, ...words]),
    );
  const waiting = [asking('ticket 1', 'request'), asking('ticket 2', 'send', '--request')];
  const open = () => listOf(as, 'carol');
  await until(async () => (await open()).length === 2, 'the requests');
  for (const { id } of await open())
    assert.equal((await as('carol', 'refuse', id, '--reason', 'ask alice')).exit, 0);
  await first.kill();
  const daemon = await startDaemon(t, { folder: first.folder });
  for (const said of await Promise.all(waiting)) {
    assert.equal(said.exit, 77, said.text);
    assert.match(said.text, /refused by carol@\S+: ask alice/);
  }
  await daemon.stop();
});

// bounds.httpAccessBytes
test('bodies that are no request are refused; a start that cannot prove what lived says so in the log', async (t) => {
  const { gateway, as, post } = await openPanel(t);
  const { daemon } = gateway;
  for (const [body, status, code] of [
    ['[', 400, 'bad-request'],
    [`"${'x'.repeat(16 * 1024)}"`, 413, 'request-too-long'],
  ] as const) {
    const answer = await post(body);
    assert.deepEqual([answer.status, answer.header('dovegate-code')], [status, code]);
  }
  const asked = await as('anna', 'request', '--user', alice, '--reason', 'ticket 1', ...words);
  assert.equal(asked.exit, 0, asked.text);
  const again = () => startDaemon(t, { folder: daemon.folder });
  const endsOf = ({ logs }: Daemon) => logs.filter(({ event }) => event === 'access-ended');
  await daemon.stop();
  const proven = await again();
  assert.deepEqual(endsOf(proven), []);
  await proven.stop();
  rmSync(daemon.path('state/audit-end.json'));
  const [line, ...more] = endsOf(await again());
  assert.deepEqual([line?.level, line?.['count'], more], ['warn', 1, []]);
  assert.match(String(line?.['text']), /^all access on request ended: .*; 1 request or grant$/);
});

test('a grant of an account ends where another certificate is shown', async (t) => {
  const [port = 0] = await freePorts(1);
  const issue = () => authority.issue({ names: ['anna.example.org'], client: true });
  const [one, other] = [issue(), issue()];
  const { gateway, as } = await openPanel(t, {
    files: {
      'clients.crt': authority.certificatePem,
      'conf.d/jobs.yaml': `listeners:
  jobs:
    tcp: "127.0.0.1:${port}"
    tls: { certificate: ../gate.crt, key: ../gate.key, client_ca: ../clients.crt }
    accounts: { job: { certificate_name: anna.example.org, policy: desk } }
`,
      'one.crt': one.certificatePem,
      'one.key': one.keyPem,
      'other.crt': other.certificatePem,
      'other.key': other.keyPem,
    },
  });
  const { daemon } = gateway;
  const job = (shown: string, verb: string, ...args: string[]) => {
    const file = daemon.path(`${shown}.yaml`);
    const proof = `certificate: ${shown}.crt\nkey: ${shown}.key\n`;
    writeFileSync(file, `address: "127.0.0.1:${port}"\nca: clients.crt\naccount: job\n${proof}`);
    const env = { DOVEADM_SOCKET: undefined, DOVEGATE_CLIENT_CONFIG: file };
    return runWarm([verb, ...args], { env });
  };
  const asked = await job('one', 'request', '--json', '--user', alice, '--reason', 'x', ...words);
  assert.equal(asked.exit, 0, asked.text);
  const { id } = JSON.parse(asked.stdout.toString());
  assert.equal((await as('carol', 'approve', id)).exit, 0);
  const send = (shown: string) => job(shown, 'send', '--user', alice, ...words);
  assert.equal((await send('one')).exit, 0);
  assert.equal((await send('other')).exit, 77);
  // Nor does the first one bring it back.
  assert.equal((await send('one')).exit, 77);
  const [end] = recordsOf(daemon, 'access').filter(({ action }) => action === 'ended');
  assert.equal(end?.['text'], 'the password, key or certificate of its owner was changed');
});
