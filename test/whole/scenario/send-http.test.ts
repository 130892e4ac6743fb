// Goal: `dovegate send --http` and `can --http` print and end as over a socket, whatever the server answers.
// What must not happen: a key on the command line, in a message or sent elsewhere; a cut answer that prints rows or ends with 0; a dry run
// that is sent as a command.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import {
  type HttpServer,
  json,
  openHttpServer,
  type ScriptedAnswer,
  type SeenRequest,
} from '../../client/http-server.js';
import { runDovegate } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { authority, filesOf } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import type { ProgramOptions, ProgramResult } from '../../kit/plain/program.js';

const alice = 'alice@example.org';
const key = 'dvg_abcdefgh_notforthelogs';
const rows = [
  { root: 'User quota', type: 'STORAGE', value: '72', limit: '10240', percent: '0' },
  { root: 'User quota', type: 'MESSAGE', value: '4', limit: '-', percent: '0' },
];
const ok = (data: unknown): ScriptedAnswer => json([['doveadmResponse', data, '1']]);
const failed = (type: string, exitCode: number, message?: string): ScriptedAnswer =>
  json([['error', { type, exitCode, ...(message !== undefined && { message, id: '01' }) }, '1']]);

/** What reads stdin has a process of its own. */
function runSend(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  return options.stdin === undefined ? runWarm(args) : runDovegate(args, options);
}

interface Here {
  readonly server: HttpServer;
  readonly keyFile: string;
  readonly send: (words: readonly string[], options?: ProgramOptions) => Promise<ProgramResult>;
}

async function openHere(owner: Owner, answer: (request: SeenRequest) => ScriptedAnswer): Promise<Here> {
  const keyFile = join(openFolder(owner), 'key');
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  const server = await openHttpServer(owner, answer);
  const own = ['send', '--http', server.url, '--key-file', keyFile, '--user', alice];
  const send: Here['send'] = async (words, options) => {
    const result = await runSend([...own, ...words], options);
    assert.ok(!result.text.includes('notforthelogs'), result.text);
    return result;
  };
  return { server, keyFile, send };
}

test('rows in every format, as over a socket; the reason is a header', async (t) => {
  const { send, server } = await openHere(t, () => ok(rows));
  const table = await send(['--reason', 'ticket 4711', '--', 'quota', 'get']);
  assert.equal(table.exit, 0, table.text);
  assert.equal(
    table.stdout.toString(),
    'Quota name Type    Value Limit %\nUser quota STORAGE    72 10240 0\nUser quota MESSAGE     4     - 0\n',
  );
  assert.equal(
    (await send(['--format', 'tab', '--', 'quota', 'get'])).stdout.toString().split('\n')[1],
    'User quota\tSTORAGE\t72\t10240\t0',
  );
  assert.deepEqual(
    JSON.parse((await send(['--format', 'json', '--', 'quota', 'get'])).stdout.toString()),
    rows,
  );
  const [first] = server.requests;
  assert.equal(first?.headers.get('dovegate-reason'), 'ticket 4711');
  assert.equal(first.headers.get('authorization'), `X-Dovecot-API ${Buffer.from(key).toString('base64')}`);
});

test('every failure has the exit code that it has over a socket, and says why', async (t) => {
  let answer: ScriptedAnswer = ok([]);
  const { send } = await openHere(t, () => answer);
  const cases: [ScriptedAnswer, exit: number, stderr: RegExp][] = [
    [ok([]), 0, /^$/],
    [failed('unAuthorized', 77, 'no rule allows it'), 77, /remote\(http:.*\): no rule allows it/],
    [failed('exitCode', 67), 67, /No such user: alice@example\.org/],
    [failed('exitCode', 68), 68, /^$/],
    [failed('exitCode', 73), 73, /^$/],
    [failed('exitCode', 75, 'no backend'), 75, /no backend/],
    [failed('exitCode', -1), 255, /^$/],
    [failed('exitCode', 1003), 235, /^$/],
    [failed('invalidRequest', 0), 64, /invalidRequest/],
    [
      json('', '401 Authentication required'),
      77,
      /cmd quota get: .*: the server refused the key in \S+\/key, which is not whole: it was cut or mistyped/,
    ],
    [json('Path Not Found', '404 Path Not Found'), 75, /no doveadm HTTP API at this URL/],
    [json("Parameter `user' is duplicated", '400 Bad Request'), 64, /`user' is duplicated/],
    [json('', '413 Payload Too Large'), 65, /longer than the server takes/],
    [json('', '503 Service Unavailable'), 75, /answered 503/],
  ];
  for (const [said, exit, stderr] of cases) {
    answer = said;
    const result = await send(['--', 'quota', 'get']);
    const title = `${said.bytes.toString()}\n${result.text}`;
    assert.equal(result.exit, exit, title);
    assert.match(result.stderr.trim(), stderr, title);
  }
});

test('what a denial proposes asks the same server with the same key', async (t) => {
  const message = 'denied by policy p; available on request: dovegate request -- quota get';
  const error = { type: 'unAuthorized', exitCode: 77, message, code: 'on-request' };
  const { send, keyFile, server } = await openHere(t, () => json([['error', error, '1']]));
  const denied = await send(['--', 'quota', 'get']);
  assert.ok(
    denied.stderr.includes(
      `request: dovegate request --http ${server.url} --key-file ${keyFile} -- quota get [on-request]`,
    ),
    denied.stderr,
  );
});

test('a refused key: its file is named, and who knows why; the same for `can`; never the key', async (t) => {
  const { send, keyFile, server } = await openHere(t, () => json('', '401 Authentication required'));
  const whole = makeKey(randomBytes(keyBytes));
  writeFileSync(keyFile, `${whole}\n`);
  const why =
    /the server refused the key in \S+\/key: it is wrong, has expired, or is not for this address; ask the operators of the server/;
  const sent = await send(['--', 'quota', 'get']);
  const asked = await runWarm(['can', '--http', server.url, '--key-file', keyFile]);
  for (const result of [sent, asked]) {
    assert.match(result.stderr, why);
    assert.ok(!result.text.includes(whole.slice(13)), result.text);
  }
});

test('a text is read from stdin; one that is no UTF-8 ends with 65 and is not stored', async (t) => {
  const { send, server } = await openHere(t, () => ok([]));
  const stored = await send(['--', 'save', '-m', 'Drafts'], { stdin: 'Subject: ü\n\nhello\n' });
  assert.equal(stored.exit, 0, stored.text);
  assert.deepEqual(JSON.parse(server.requests[0]?.body ?? ''), [
    ['save', { user: alice, mailbox: 'Drafts', file: 'Subject: ü\r\n\r\nhello\r\n' }, '1'],
  ]);
  const refused = await send(['--', 'save'], { stdin: Buffer.from([0x53, 0xe9, 0x0a]) });
  assert.equal(refused.exit, 65, refused.text);
  assert.match(refused.stderr, /must be UTF-8/);
  assert.equal(server.requests.length, 1);
});

test('what does not fit together is a wrong usage, and nothing is sent', async (t) => {
  const { server, keyFile } = await openHere(t, () => ok([]));
  const cases: [readonly string[], RegExp][] = [
    [['--http', server.url, '--socket', '/s'], /no socket, account or --tls/],
    [['--http', server.url, '--account', 'anna'], /no socket, account or --tls/],
    [['--key-file', keyFile], /--key-file is for --http only/],
    [['--http', server.url, '--debug'], /no log lines/],
    [['--http', 'ftp://x'], /none of https:/],
    [['--http', `https://doveadm:${key}@x`], /no place for a key/],
    [['--http', 'http://192.0.2.1', '--key-file', keyFile], /use https/],
  ];
  for (const [words, message] of cases) {
    const { exit, stderr } = await runWarm(['send', ...words, '--', 'quota', 'get']);
    assert.equal(exit, 64, stderr);
    assert.match(stderr, message);
  }
  const missing = await runWarm(['send', '--http', server.url, '--key-file', '/nonexistent', '--', 'who']);
  assert.equal(missing.exit, 78);
  assert.match(missing.stderr, /the key file cannot be read/);
  assert.equal(server.heads(), 0);
});

test('the daemon: a key over TLS, a socket without one, rights and dry runs, as over a doveadm socket', {
  timeout: 300_000,
}, async (t) => {
  const own = makeKey(randomBytes(keyBytes));
  const [port = 0] = await freePorts(1);
  const { daemon, backend } = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  local: { unix: local.sock, protocol: http, mode: "0600", policy: support }
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    keys: { panel: { hash: "${hashKey(own)}", policy: support, expires: 2099-01-01 } }`,
    policy: `
    users: ["*@example.org"]
    allow: [quota get, save, { command: expunge, reason: required, where: { query: { mailbox: present } } }]`,
    files: filesOf(authority),
    backend: {
      script: async ({ fields }, connection) => {
        if (fields[0] === 'save') await connection.readInput();
        if (fields[0] === 'quota get') await connection.row('User quota', 'STORAGE', '1', '2', '50');
        await connection.status('+');
      },
    },
  });
  const folder = openFolder(t);
  const path = (name: string): string => join(folder, name);
  writeFileSync(path('key'), own, { mode: 0o600 });
  writeFileSync(path('wrong'), makeKey(randomBytes(keyBytes)), { mode: 0o600 });
  writeFileSync(path('ca.pem'), authority.certificatePem);
  const panel = ['--http', `https://localhost:${port}`, '--ca', path('ca.pem')];
  const places: Readonly<Record<string, readonly string[]>> = {
    panel: [...panel, '--key-file', path('key')],
    local: ['--http', `unix:${daemon.path('local.sock')}`],
    support: ['--socket', daemon.path('support.sock')],
  };
  const results = async (
    name: string,
    words: readonly string[],
    options?: ProgramOptions,
  ): Promise<unknown> => {
    const send = ['send', ...(places[name] ?? []), '--user', alice, ...words];
    const { exit, stdout, stderr, text } = await runSend(send, options);
    assert.ok(!text.includes(own), text);
    assert.notEqual(exit, 75, text);
    return [
      exit,
      stdout.toString(),
      stderr
        .replace(/ remote\(.*?\):/, ' remote:')
        .replace(/, id \w{26}/, ', id ID')
        .replace(/; what is allowed: .*?(?= \[)/, ''),
    ];
  };
  const asked: readonly (readonly string[])[] = [
    ['--', 'quota', 'get'],
    ['--format', 'json', '--', 'quota', 'get'],
    ['--', 'mailbox', 'list'],
    ['--', 'expunge', 'mailbox', 'Trash', 'all'],
    ['--reason', 'ticket 4711', '--', 'expunge', 'mailbox', 'Trash', 'all'],
    ['--', 'save', '-m', 'Drafts'],
    ['--dry-run', '--', 'quota', 'get'],
    ['--dry-run', '--', 'mailbox', 'list'],
  ];
  for (const words of asked) {
    const options = words.includes('save') ? { stdin: 'Subject: x\n\nhello\n' } : {};
    const over = await results('support', words, options);
    if (words.includes('Trash') && words[0] === '--') assert.match(JSON.stringify(over), /\[denied\], id ID/);
    for (const name of ['panel', 'local']) {
      const here = await results(name, words, options);
      assert.equal(anybody(here), anybody(over), `${name}: ${words.join(' ')}`);
    }
  }
  // Three times each: what was asked dry was not run.
  const ran = backend.commands.map(({ fields }) => fields[0]);
  assert.equal(ran.filter((name) => name === 'quota get').length, 6);
  const wrong = ['send', ...panel, '--key-file', path('wrong'), '--user', alice, '--', 'quota', 'get'];
  const refused = await runWarm(wrong);
  assert.equal(refused.exit, 77);
  assert.match(refused.stderr, /the server refused the key/);
  const question = ['--user', alice, '--', 'quota', 'get'];
  const keyless = await runWarm(['send', ...panel, ...question]);
  assert.equal(keyless.exit, 77);
  assert.match(keyless.stderr, /the server asks for a key, and none was given \(--key-file FILE\)/);
  const account = ['--account', 'panel', '--password-file', path('key')];
  const wire = ['send', '--socket', `localhost:${port}`, ...panel.slice(2), ...account];
  const asHttp = /it speaks another protocol, as an HTTP listener does \(dovegate send --http /;
  for (const [args, said] of [
    [[...wire, '--tls', 'implicit'], asHttp],
    [wire, /; try --tls implicit, or --http https:\/\/localhost:\d+ for an HTTP listener$/m],
    [['send', '--socket', daemon.path('local.sock')], asHttp],
  ] as const) {
    const { exit, stderr } = await runWarm([...args, ...question]);
    assert.deepEqual([exit, said.test(stderr)], [75, true], stderr);
  }
  // No passing fault either: an authority that is not trusted.
  const right = ['--key-file', path('key')];
  const stranger = await runWarm(['send', '--http', `https://localhost:${port}`, ...right, ...question]);
  assert.deepEqual([stranger.exit, /TLS failed: /.test(stranger.stderr)], [78, true], stranger.stderr);
  writeFileSync(path('list'), `${alice}\n`);
  const many = ['--users', path('list'), '--', 'quota', 'get'];
  for (const [file, exit] of [
    [path('wrong'), 77],
    [path('key'), 0],
  ] as const) {
    const bulk = await runWarm(['send', ...panel, '--key-file', file, ...many]);
    assert.equal(bulk.exit, exit, bulk.text);
  }
  const rights = await runWarm(['can', ...(places['panel'] ?? [])]);
  assert.equal(rights.exit, 0, rights.text);
  assert.match(rights.text, /requester\s+panel@panel/);
  assert.match(rights.text, /expunge\s+destroy/);
});

/** Who asked, and where, is another one each time. */
function anybody(result: unknown): string {
  return JSON.stringify(result).replaceAll(/[\w-]+@(?:panel|local|support)\b/g, 'WHO@WHERE');
}
