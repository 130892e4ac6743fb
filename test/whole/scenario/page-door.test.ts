// Goal: nobody gets anything of the page but the people of `admin.page.people`, each what the role allows, and what was refused is in the
// journal. Phases: a link of `dovegate page open`, once; TLS with passwords and certificates of people; an approval by a link of another
// login. What another Host or Origin gets, and each role at each endpoint, is tested in test/page (page-access, browser-answers).
// What must not happen: data or a change for a stranger, a cookie, a token in an address, a refusal without a record.

import assert from 'node:assert/strict';
import { chmodSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askPageAs } from '../../kit/plain/ask-page.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { askRaw, type HttpAnswer, type RawHttpOptions } from '../../kit/plain/raw-http.js';
import { isRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const ourUid = process.getuid?.() ?? -1;
const stranger = 41_005;

/** A process that has a login already cannot take another one. */
function whyNoLogin(): string | false {
  if (!isRoot) return 'only root can be somebody else';
  const login = readFileSync('/proc/self/loginuid', 'utf8').trim();
  return login === String(2 ** 32 - 1) ? false : `this process has the login ${login} already`;
}

interface Refusal {
  readonly by: unknown;
  readonly why: string;
  readonly address: unknown;
}

interface Stage {
  readonly gateway: Gateway;
  readonly port: number;
  readonly where: RawHttpOptions;
  readonly ask: (
    line: string,
    more?: { token?: string; body?: unknown; headers?: Readonly<Record<string, string>> },
  ) => Promise<HttpAnswer>;
  /** Once there are so many; they come to the disk after the answer. */
  readonly refusals: (count: number) => Promise<readonly Refusal[]>;
}

const usualPeople = `
      ourselves: { user: "${ourUid}", role: operate }`;

const settings = (port: number, people: string, more = ''): string => `admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${port}
    unix: page/page.sock
    mode: "0666"${more}
    people:${people}
`;

async function openStage(
  t: TestContext,
  {
    people = usualPeople,
    more = '',
    policy,
    files = {},
    tls,
  }: {
    people?: string;
    more?: string;
    policy?: string;
    files?: Readonly<Record<string, string>>;
    tls?: RawHttpOptions['tls'];
  } = {},
): Promise<Stage> {
  const [port = 0] = await freePorts(1);
  const gateway = await openGateway(t, {
    more: settings(port, people, more),
    ...(policy !== undefined && { policy }),
    files: { 'page/.keep': '', ...files },
  });
  chmodSync(gateway.daemon.folder, 0o711);
  chmodSync(gateway.daemon.path('page'), 0o711);
  const where = { port, ...(tls !== undefined && { tls }) };
  return {
    gateway,
    port,
    where,
    ask: (line, options) => askRaw(where, requestOf(line, port, options)),
    async refusals(count) {
      const found = (): Refusal[] =>
        auditRecords(gateway.daemon).flatMap(({ action, by, args }) =>
          action === 'page-refused' && Array.isArray(args)
            ? [{ by, why: String(args[0]).slice(4), address: wordOf(args, 'address') }]
            : [],
        );
      await until(() => found().length >= count, `${count} refusals`);
      return found();
    },
  };
}

/** What stands after `key=` in the words of a record. */
function wordOf(args: unknown, key: string): string | undefined {
  const words = Array.isArray(args) ? args.map(String) : [];
  return words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
}

function requestOf(
  line: string,
  port: number,
  { token, body, headers = {} }: Parameters<Stage['ask']>[1] = {},
): string {
  const text = body === undefined ? '' : JSON.stringify(body);
  const lines = { Host: `127.0.0.1:${port}`, ...headers };
  return [
    `${line} HTTP/1.1`,
    ...Object.entries(lines).map(([name, value]) => `${name}: ${value}`),
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    `Content-Length: ${Buffer.byteLength(text)}`,
    '',
    text,
  ].join('\r\n');
}

const open = async ({ gateway }: Stage): Promise<string> => {
  const { exit, stdout, text } = await runWarm([
    'page',
    'open',
    '--socket',
    gateway.daemon.path('page/page.sock'),
  ]);
  assert.equal(exit, 0, text);
  return stdout.toString();
};

async function linkAs(
  { gateway }: Stage,
  uid: number,
  loginUid?: number,
): Promise<{ status: number; body: string }> {
  const path = gateway.daemon.path('page/page.sock');
  const [answer] = await askPageAs(uid, path, [['/page/open', '']], loginUid);
  return answer ?? { status: 0, body: '' };
}

function jsonOf(answer: HttpAnswer): Readonly<Record<string, unknown>> {
  return Object(JSON.parse(answer.body.toString()));
}

async function redeem(stage: Stage, link: string): Promise<string> {
  const answer = await stage.ask('POST /api/redeem', { body: { link: link.trim().split('#')[1] } });
  assert.equal(answer.status, 200, answer.body.toString());
  return String(jsonOf(answer)['token']);
}

test('a link of dovegate page open: one line, once, and what it opens', async (t) => {
  const stage = await openStage(t);
  const { ask, port, gateway, refusals } = stage;
  const printed = await open(stage);
  assert.match(printed, new RegExp(`^http://127\\.0\\.0\\.1:${port}/#[A-Za-z0-9_-]{43}\\n$`));
  const answers: HttpAnswer[] = [];
  for (const path of ['/', '/proof', '/trail/01ABC', '/sign-in', '/x/../..//etc/passwd?x'])
    answers.push(await ask(`GET ${path}`));
  for (const answer of answers) {
    assert.equal(answer.status, 200);
    assert.match(
      answer.header('Content-Security-Policy') ?? '',
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    // No other server of this host gets anything: no cookie, no form, no address of this page, no request of its scripts.
    const policy = answer.header('Content-Security-Policy') ?? '';
    for (const rule of [
      "connect-src 'self'",
      "form-action 'none'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ])
      assert.ok(policy.includes(rule), policy);
    assert.equal(answer.header('Cross-Origin-Opener-Policy'), 'same-origin');
    assert.equal(answer.header('X-Content-Type-Options'), 'nosniff');
    assert.equal(answer.header('Referrer-Policy'), 'no-referrer');
    assert.deepEqual(answer.body, answers[0]?.body);
  }
  const token = await redeem(stage, printed);
  const me = await ask('GET /api/me', { token });
  assert.equal(jsonOf(me)['name'], 'ourselves');
  assert.equal(me.header('Cache-Control'), 'no-store');
  for (const answer of [...answers, me]) assert.equal(answer.header('Set-Cookie'), undefined);
  assert.equal((await ask('GET /assets/x.js')).status, 404);
  assert.equal((await ask(`GET /api/me?token=${token}`)).status, 401, 'not in the address');
  assert.equal(
    (await ask('GET /api/me', { headers: { Cookie: `token=${token}` } })).status,
    401,
    'nor in a cookie',
  );
  const again = await ask('POST /api/redeem', { body: { link: printed.trim().split('#')[1] } });
  assert.equal(again.status, 401);
  assert.match(String(jsonOf(again)['text']), /used already.*run "dovegate page open" again/);
  assert.equal((await ask('GET /api/me', { token })).status, 401, 'a link in two hands: both are out');
  assert.deepEqual(
    (await refusals(4)).map(({ by, why, address }) => [by, why, address]),
    [
      [undefined, 'no-token', '127.0.0.1'],
      [undefined, 'no-token', '127.0.0.1'],
      ['ourselves', 'used-link', '127.0.0.1'],
      ['ourselves', 'session-ended', '127.0.0.1'],
    ],
  );
  const words = auditRecords(gateway.daemon).flatMap(({ action, by }) =>
    typeof action === 'string' && typeof by === 'string' ? [`${action} ${by}`] : [],
  );
  assert.deepEqual(words.slice(0, 2), ['page-open ourselves', 'page-sign-in ourselves']);
  const log = JSON.stringify([auditRecords(gateway.daemon), gateway.daemon.logs, gateway.page?.logs]);
  assert.ok(!log.includes(token) && !log.includes(printed.trim().split('#')[1] ?? '?'));
  const config = await runWarm(['page', 'open', '--config', gateway.daemon.path('dovegate.yaml')]);
  assert.match(config.stdout.toString(), /^http:\/\/127/);
});

test('TLS, a password and certificates of people', async (t) => {
  const authority = makeAuthority({ name: 'people' });
  const server = authority.issue({ names: ['gate.example.com', '127.0.0.1'] });
  const hash = await hashPassword(Buffer.from('correct horse'), 14);
  const tls = { ca: authority.certificatePem, serverName: 'gate.example.com' };
  const stage = await openStage(t, {
    more: '\n    tls: { certificate: page.crt, key: page.key, client_ca: people.pem }',
    people: `
      ourselves: { user: "${ourUid}", role: view }
      carol: { password_hash: "${hash}", role: view }
      oncall: { certificate_name: oncall.example.com, role: operate }`,
    files: {
      'page.crt': server.certificatePem,
      'page.key': server.keyPem,
      'people.pem': authority.certificatePem,
    },
    tls,
  });
  const { ask, port, where, refusals, gateway } = stage;
  assert.match(await open(stage), new RegExp(`^https://127\\.0\\.0\\.1:${port}/#`));
  const login = (body: unknown, shown?: ReturnType<typeof authority.issue>): Promise<HttpAnswer> =>
    askRaw(
      { ...where, tls: { ...tls, ...(shown !== undefined && { certificate: shown }) } },
      requestOf('POST /api/login', port, { body }),
    );
  const carol = await login({ name: 'carol', password: 'correct horse' });
  assert.equal(carol.status, 200, carol.body.toString());
  const token = String(jsonOf(carol)['token']);
  assert.equal(jsonOf(await ask('GET /api/me', { token }))['name'], 'carol');
  assert.equal((await login({ name: 'carol', password: 'correct horses' })).status, 401);
  assert.equal((await login({ name: 'oncall', password: 'correct horse' })).status, 401);
  assert.equal((await login({})).status, 401);
  const client = (name: string) => authority.issue({ names: [name], client: true });
  assert.equal((await login({}, client('eve.example.com'))).status, 401);
  const oncall = await login({}, client('oncall.example.com'));
  assert.equal(oncall.status, 200, oncall.body.toString());
  const foreign = makeAuthority({ name: 'foreign' }).issue({ names: ['oncall.example.com'], client: true });
  await assert.rejects(login({}, foreign), 'the handshake fails');
  assert.equal((await ask('GET /api/me', { token, headers: { Host: 'gate.example.com' } })).status, 200);
  assert.equal((await ask('GET /api/me', { token, headers: { Host: 'other.example.com' } })).status, 421);
  const plain = await askRaw({ port }, requestOf('GET /', port)).catch(() => undefined);
  assert.equal(plain, undefined, 'no HTTP without TLS');
  assert.deepEqual(
    (await refusals(5)).map(({ why }) => why),
    ['wrong-password', 'wrong-password', 'wrong-certificate', 'wrong-certificate', 'wrong-host'],
  );
  assert.ok(
    !JSON.stringify([auditRecords(gateway.daemon), gateway.daemon.logs, gateway.page?.logs]).includes(
      'correct horse',
    ),
  );
});

test('a link approves for the login that it was made in', { skip: whyNoLogin() }, async (t) => {
  const uid = 41_006;
  const stage = await openStage(t, {
    people: `
      ourselves: { user: "${ourUid}", role: audit }
      carol: { user: "${uid}", role: approve }
persons: { carol: { users: ["${uid}"] } }`,
    more: '\n    approve: true',
    policy: `
    users: ["*@example.org"]
    allow: [quota get]
    on_request: [{ command: fetch, content: true, approvals: 1, for: 1h }]`,
  });
  const { daemon } = stage.gateway;
  const words = ['--user', 'alice@example.org', '--reason', 'x', '--json', '--', 'fetch', 'text', 'all'];
  const asked = await runWarm(['request', '--socket', daemon.path('support.sock'), ...words]);
  assert.equal(asked.exit, 0, asked.text);
  const { id } = JSON.parse(asked.stdout.toString());
  const approve = async (loginUid?: number) => {
    const token = await redeem(stage, (await linkAs(stage, uid, loginUid)).body);
    const answer = await stage.ask(`POST /api/approvals/${id}/approve`, { token, body: {} });
    return [answer.status, answer.body.toString()] as const;
  };
  for (const [loginUid, why] of [
    [stranger, /this login is not that of the same person/],
    [0, /root may be anybody/],
    [undefined, /this process belongs to no login/],
  ] as const) {
    const [status, text] = await approve(loginUid);
    assert.equal(status, 403, text);
    assert.match(text, why);
  }
  const [status, text] = await approve(uid);
  assert.equal(status, 200, text);
  assert.match(text, /"state":"granted"/);
});
