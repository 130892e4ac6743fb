// Goal: clients of HTTP get what clients of the doveadm protocol get, with the same judgement and the same trail. Phases: who may ask, over
// TLS and on a UNIX socket; what a browser sends; answers small and large; backends that die within one;
// clients that leave; a reload and a drain. What must not happen: an answer
// that was cut and can be read as JSON, a command at the backend without its admission, a key in a record or in the log.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { oneRow, type Script } from '../../kit/gate/script.js';
import { authority, filesOf, hash, password } from '../../kit/gate/tcp-gate.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import {
  askRaw,
  authorizationOf,
  encodePost,
  HttpCut,
  openRawHttp,
  type RawHttp,
  type RawHttpOptions,
} from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const key = makeKey(randomBytes(keyBytes));
const other = makeKey(randomBytes(keyBytes));
const alice = 'alice@example.org';
const policy = `
    users: ["*@example.org"]
    allow: [mailbox status, mailbox list, { command: fetch, content: true }, save, mailbox create]`;

interface Panel extends Gateway {
  readonly unix: RawHttpOptions;
  readonly tls: RawHttpOptions;
  readonly port: number;
  readonly listenersWith: (keys: string) => string;
}

async function openPanel(t: TestContext, script: Script, more = ''): Promise<Panel> {
  const [port = 0] = await freePorts(1);
  const keys = `panel: { hash: "${hashKey(key)}", policy: support, expires: 2099-01-01 }`;
  const listenersWith = (shown: string): string => `
  local: { unix: local.sock, protocol: http, mode: "0600", policy: support }
  panel:
    tcp: "127.0.0.1:${port}"
    protocol: http
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    accounts: { migrator: { password_hash: "${hash}", policy: support } }
    keys: { ${shown} }`;
  const gateway = await openGateway(t, {
    listeners: listenersWith(keys),
    policy,
    files: filesOf(authority),
    backend: { script },
    more,
  });
  return {
    ...gateway,
    port,
    listenersWith,
    unix: { path: gateway.daemon.path('local.sock') },
    tls: { port, tls: { ca: authority.certificatePem, serverName: 'localhost' } },
  };
}

const status = (user = alice, tag = 't'): unknown => [
  'mailboxStatus',
  { user, field: ['messages'], mailboxMask: 'INBOX' },
  tag,
];

function post(
  commands: unknown,
  more: { authorization?: string; keepsAlive?: boolean; headers?: Record<string, string> } = {},
): Buffer {
  return encodePost({ body: JSON.stringify(commands), ...more });
}

const whole = [['doveadmResponse', [{ mailbox: 'INBOX', messages: '4' }], 't']];

function admissions(panel: Panel): Readonly<Record<string, unknown>>[] {
  return auditRecords(panel.daemon).filter(({ event }) => event === 'admission');
}

function completionsOf(panel: Panel): Readonly<Record<string, unknown>>[] {
  return auditRecords(panel.daemon).filter(({ event }) => event === 'completion');
}

/** Every command at the backend has an admission. */
function holdsTrail(panel: Panel): void {
  const allowed = admissions(panel).filter(({ decision }) => decision === 'allow');
  assert.ok(panel.backend.commands.length <= allowed.length);
}

/** 3 MiB of rows, then what `end` does after so many bytes. */
function largeReply(cutAt: number | undefined): Script {
  const row = Buffer.from(`INBOX\t${'4'.repeat(57)}\t`);
  const all = Buffer.concat(Array.from({ length: 49_152 }, () => row));
  return async (_command, connection) => {
    await connection.body(all.subarray(0, cutAt ?? all.length));
    if (cutAt === undefined) await connection.status('+');
    else if (cutAt % 2 === 0) connection.end();
    else connection.reset();
  };
}

/** What a client that does not count would take for the body. */
function bodyOf(bytes: Buffer): Buffer {
  let rest = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
  const parts: Buffer[] = [];
  for (;;) {
    const end = rest.indexOf('\r\n');
    if (end < 0) break;
    const length = Number.parseInt(rest.toString('latin1', 0, end), 16);
    if (!(length > 0)) break;
    parts.push(rest.subarray(end + 2, end + 2 + length));
    rest = rest.subarray(end + 2 + length + 2);
  }
  return Buffer.concat(parts);
}

void test('one daemon from its first request to a key that is taken away', {
  timeout: 600_000,
}, async (t) => {
  const panel = await openPanel(t, oneRow);

  await t.test('paths, methods and browsers', async () => {
    const asked = async (request: string, where = panel.unix): Promise<[number, string]> => {
      const answer = await askRaw(where, request);
      return [answer.status, answer.body.toString()];
    };
    const host = 'Host: gate\r\n';
    assert.deepEqual(await asked(`OPTIONS * HTTP/1.1\r\n${host}\r\n`, panel.tls), [200, '']);
    assert.equal((await asked(`GET / HTTP/1.1\r\n${host}\r\n`))[1].match(/"method"/g)?.length, 4);
    for (const line of ['GET /x', 'PUT /doveadm/v1', 'POST /doveadm/v1/', 'POST /', 'DELETE /doveadm/v1'])
      assert.deepEqual(
        await asked(`${line} HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`),
        [404, 'Path Not Found'],
        line,
      );
    assert.equal((await asked(`HEAD /doveadm/v1 HTTP/1.1\r\n${host}\r\n`))[0], 404);
    for (const field of ['Origin: https://evil.example', 'Origin: null', 'Sec-Fetch-Site: cross-site']) {
      assert.equal((await asked(`OPTIONS * HTTP/1.1\r\n${host}${field}\r\n\r\n`))[0], 403, field);
      const body = JSON.stringify([status()]);
      const head = `POST /doveadm/v1 HTTP/1.1\r\n${host}${field}\r\nContent-Type: text/plain\r\n`;
      assert.equal((await asked(`${head}Content-Length: ${body.length}\r\n\r\n${body}`))[0], 403, field);
    }
    assert.equal(panel.backend.commands.length, 0);
    const answer = await askRaw(panel.unix, `OPTIONS * HTTP/1.1\r\n${host}Origin: http://gate\r\n\r\n`);
    assert.ok(answer.headers.every(([name]) => !name.toLowerCase().startsWith('access-control')));
  });

  await t.test(
    'who may ask: keys in every form, an account, the kernel; everything else is 401',
    async () => {
      const base64 = (text: string): string => Buffer.from(text).toString('base64');
      for (const authorization of [
        authorizationOf.key(key),
        `x-dovecot-api ${key}`,
        `Bearer ${key}`,
        `BASIC ${base64(`doveadm:${key}`)}`,
        `Basic ${base64(`panel:${key}`)}`,
        `Basic ${base64(`migrator:${password}`)}`,
      ]) {
        const answer = await askRaw(panel.tls, post([status()], { authorization }));
        assert.equal(answer.status, 200, authorization.slice(0, 12));
        assert.deepEqual(JSON.parse(answer.body.toString()), whole);
        assert.equal(answer.header('content-type'), 'application/json; charset=utf-8');
      }
      assert.equal((await askRaw(panel.unix, post([status()]))).status, 200);
      const served = panel.backend.commands.length;
      for (const authorization of [
        undefined,
        'X-Dovecot-API',
        authorizationOf.key(other),
        authorizationOf.key(`${key}x`),
        `Basic ${base64(`doveadm:${other}`)}`,
        `Basic ${base64(`someone:${key}`)}`,
        `Basic ${base64('migrator:wrong')}`,
        `Digest ${key}`,
        `Bearer ${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`,
      ]) {
        const more = authorization === undefined ? {} : { authorization };
        const answer = await askRaw(panel.tls, post([status()], more));
        assert.equal(answer.statusLine, 'HTTP/1.1 401 Authentication required', authorization);
        assert.equal(answer.body.length, 0);
        assert.ok(answer.header('www-authenticate') !== undefined);
      }
      assert.equal(panel.backend.commands.length, served);
      const principals = new Set(admissions(panel).map(({ principal }) => principal));
      assert.deepEqual(
        [...principals]
          .map(String)
          .filter((name) => name.endsWith('@panel'))
          .toSorted(),
        ['migrator@panel', 'panel@panel'],
      );
      holdsTrail(panel);
      assert.deepEqual(panel.daemon.grepSecrets([key, other, key.slice(13)]), []);
    },
  );

  await t.test(
    'a large answer comes whole and in pieces; one that is cut is never JSON',
    {
      timeout: 600_000,
    },
    async (own) => {
      panel.backend.change({ script: largeReply(undefined) });
      const answer = await askRaw(panel.unix, post([status(), status(alice, 'u')]));
      assert.equal(answer.framing, 'chunked');
      const parsed = JSON.parse(answer.body.toString());
      assert.equal(parsed.length, 2);
      assert.equal(parsed[1][1].length, 49_152);
      const size = 64 * 49_152;
      let cuts = 0;
      let resets = 0;
      // DOVEGATE_ROUNDS=32 cuts at each 997th byte. Odd, so that ends and resets take turns, and no multiple of 3.
      const step = 997 * (rounds === 1 ? 101 : Math.max(1, Math.floor(32 / rounds)));
      for (let at = 0; at < size; at += step) {
        const where = at % 3 === 0 ? panel.tls : panel.unix;
        panel.backend.change({ script: largeReply(at) });
        cuts += 1;
        try {
          const said = await askRaw(
            where,
            post([status(), status(alice, 'u')], { authorization: authorizationOf.key(key) }),
          );
          // What was held is taken back: an error, which is whole.
          const errors: unknown[][] = JSON.parse(said.body.toString());
          assert.deepEqual(
            errors.map(([word]) => word),
            ['error', 'error'],
            `${at}`,
          );
        } catch (fault) {
          if (!(fault instanceof HttpCut)) throw fault;
          resets += 1;
          assert.throws(() => JSON.parse(bodyOf(fault.bytes).toString()), `${at}`);
        }
      }
      own.diagnostic(`${cuts} cuts, ${resets} connections without an end of their answer`);
      assert.ok(resets > 0 && resets < cuts);
      holdsTrail(panel);
    },
  );

  await t.test(
    'a client that leaves: what reads is given up, the rest of its request is recorded and not begun',
    async () => {
      panel.backend.change({
        script: async (_command, connection) => {
          await connection.row('INBOX', '4');
          await connection.closed;
        },
      });
      const before = { commands: panel.backend.commands.length, completions: completionsOf(panel).length };
      const client = await openRawHttp(panel.unix);
      await client.write(
        post([status(), status(alice, 'u'), ['mailboxCreate', { user: alice, mailbox: ['x'] }, 'v']]),
      );
      await panel.backend.waitFor(({ commands }) => commands.length === before.commands + 1, 'a command');
      client.close();
      await until(() => completionsOf(panel).length === before.completions + 3, 'three completions');
      assert.deepEqual(
        completionsOf(panel)
          .slice(before.completions)
          .map(({ outcome, sent }) => [outcome, sent]),
        [
          ['aborted', true],
          ['aborted', false],
          ['aborted', false],
        ],
      );
      assert.equal(panel.backend.commands.length, before.commands + 1);
    },
  );

  await t.test(
    'kept connections: many requests, pipelined ones in order; a reload that takes the key away ends them',
    async () => {
      panel.backend.change({ script: oneRow });
      const before = admissions(panel).length;
      const authorization = authorizationOf.key(key);
      const client: RawHttp = await openRawHttp(panel.tls);
      for (let at = 0; at < 5; at += 1) {
        await client.write(post([status(alice, `k${at}`)], { authorization, keepsAlive: true }));
        assert.equal(JSON.parse((await client.readAnswer()).body.toString())[0][2], `k${at}`);
      }
      await client.write(
        Buffer.concat(
          ['a', 'b', 'c'].map((tag) => post([status(alice, tag)], { authorization, keepsAlive: true })),
        ),
      );
      for (const tag of ['a', 'b', 'c'])
        assert.equal(JSON.parse((await client.readAnswer()).body.toString())[0][2], tag);
      const sessions = new Set(
        admissions(panel)
          .slice(before)
          .map(({ session }) => session),
      );
      assert.equal(sessions.size, 1);
      // Another key on the same connection is another principal.
      await client.write(
        post([status()], { authorization: authorizationOf.password(password, 'migrator'), keepsAlive: true }),
      );
      assert.equal((await client.readAnswer()).status, 200);
      assert.equal(admissions(panel).at(-1)?.['principal'], 'migrator@panel');
      await client.write(post([status()], { authorization, keepsAlive: true }));
      assert.equal((await client.readAnswer()).status, 200);
      const keys = `panel: { hash: "${hashKey(other)}", policy: support, expires: 2099-01-01 }`;
      await panel.daemon.reload(panel.configuration({ listeners: panel.listenersWith(keys) }));
      assert.equal(await client.readEnd(), 'closed');
      assert.equal((await askRaw(panel.tls, post([status()], { authorization }))).status, 401);
      const renewed = post([status()], { authorization: authorizationOf.key(other) });
      assert.equal((await askRaw(panel.tls, renewed)).status, 200);
      client.close();
    },
  );
});

void test('texts, and the end', async (t) => {
  const got: Buffer[] = [];
  const panel = await openPanel(
    t,
    async (_command, connection) => {
      got.push((await connection.readInput()) ?? Buffer.alloc(0));
      await connection.status('+');
    },
    'limits: { http_body: 64MiB }',
  );

  await t.test('a text in the body: stored as it is, also a large one in constant memory', async () => {
    const text = 'Subject: ü\r\n\r\n.\r\nline "two" \\ \t\u{1f600}\r\n..\r\n';
    const large = `Subject: large\r\n\r\n${`${'a'.repeat(998)}\r\n`.repeat(25_000)}`;
    for (const file of [text, large, 'Subject: x\n\nno end']) {
      const answer = await askRaw(
        { ...panel.unix, timeoutMs: 60_000 },
        post([['save', { user: alice, mailbox: 'INBOX', file }, 't']]),
      );
      assert.deepEqual(JSON.parse(answer.body.toString()), [['doveadmResponse', [], 't']]);
    }
    const stored = got.map((each) => each.toString());
    const asStored = (file: string): string => file.replaceAll('\r\n', '\n');
    assert.deepEqual(stored[0], asStored(text));
    assert.ok(stored[1] === asStored(large));
  });

  await t.test('a drain lets a request end, all of its commands', async () => {
    let go: (() => void) | undefined;
    panel.backend.change({
      script: async (_command, connection) => {
        await new Promise<void>((resolve) => {
          go = resolve;
        });
        await connection.row('INBOX', '4');
        await connection.status('+');
      },
    });
    const before = panel.backend.commands.length;
    const idle = await openRawHttp(panel.unix);
    const client = await openRawHttp(panel.unix);
    await client.write(post([status(), status(alice, 'u')], { keepsAlive: true }));
    await panel.backend.waitFor(({ commands }) => commands.length === before + 1, 'a command');
    panel.daemon.signal('SIGTERM');
    await panel.daemon.waitForLog((log) => log['event'] === 'stopping', 'the drain');
    go?.();
    await panel.backend.waitFor(({ commands }) => commands.length === before + 2, 'the next command');
    go?.();
    const answer = await client.readAnswer();
    assert.equal(JSON.parse(answer.body.toString()).length, 2);
    assert.equal(await client.readEnd(), 'closed');
    assert.equal(await idle.readEnd(), 'closed');
  });
});
