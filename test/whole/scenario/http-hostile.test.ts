// Goal: no client of HTTP costs others anything. Phases: a text of 1 GiB; a client that does not read its answer; clients that
// break off everywhere. What must not happen: memory that grows with what is sent, a descriptor or a session that stays.
// DOVEGATE_ROUNDS=32 sends all of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import type { Script } from '../../kit/gate/script.js';
import { countDescriptors } from '../../kit/plain/descriptors.js';
import { askRaw, encodePost, openRawHttp, type RawHttpOptions } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
/** 1 with 32 rounds or more. */
const share = Math.min(1, rounds / 32);
/** Of the texts, which cost most. */
const textShare = rounds === 1 ? share / 2 : share;
const alice = 'alice@example.org';

interface Panel extends Gateway {
  readonly unix: RawHttpOptions;
}

const taken: Script = async (_command, connection) => {
  await connection.readInput();
  await connection.status('+');
};

const empty: Script = (_command, connection) => connection.status('+');

async function openPanel(t: TestContext, script: Script, more = ''): Promise<Panel> {
  const gateway = await openGateway(t, {
    listeners:
      '\n  local: { unix: local.sock, protocol: http, mode: "0600", policy: support, sessions: 600, sessions_per_peer: 600 }',
    policy: `
    users: ["*@example.org"]
    allow: [mailbox status, mailbox list, { command: search }, save]`,
    backend: { script },
    more,
  });
  return { ...gateway, unix: { path: gateway.daemon.path('local.sock'), timeoutMs: 60_000 } };
}

const options = 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n';

function json(commands: unknown): Buffer {
  return encodePost({ body: JSON.stringify(commands) });
}

/** Of the daemon, in MiB. */
function memoryOf({ daemon }: Panel): number {
  const text = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]) / 1024;
}

void test('a text of 1 GiB, and many of 16 MiB at once, in constant memory', {
  timeout: 900_000,
}, async (t) => {
  const panel = await openPanel(
    t,
    taken,
    'limits: { http_body: 1200MiB, input: 1200MiB, input_time: 299s, queue_timeout: 10m }',
  );
  const line = Buffer.from(`${'a'.repeat(76)}\\r\\n`);
  const block = Buffer.concat(Array.from({ length: 800 }, () => line));
  const send = async (mebibytes: number): Promise<void> => {
    const blocks = Math.ceil((mebibytes * 1024 * 1024) / block.length);
    const begin = Buffer.from(`[["save",{"user":"${alice}","mailbox":"INBOX","file":"`);
    const end = Buffer.from('"},"t"]]');
    const length = begin.length + blocks * block.length + end.length;
    // What takes long is the backend of this test, which keeps all of it.
    const client = await openRawHttp({ ...panel.unix, timeoutMs: 290_000 });
    try {
      await client.write(
        `POST /doveadm/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`,
      );
      await client.write(begin);
      for (let at = 0; at < blocks; at += 1) await client.write(block);
      await client.write(end);
      const answer = await client.readAnswer();
      assert.deepEqual(JSON.parse(answer.body.toString()), [['doveadmResponse', [], 't']]);
    } finally {
      client.close();
    }
  };
  await send(4);
  const before = memoryOf(panel);
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, memoryOf(panel));
  }, 20);
  try {
    await send(Math.ceil(1024 * textShare));
    const alone = most;
    await Promise.all(Array.from({ length: 20 }, () => send(Math.ceil(16 * textShare))));
    t.diagnostic(
      `${before.toFixed(0)} MiB before, at most ${alone.toFixed(0)} with one text, ${most.toFixed(0)} with 20`,
    );
    assert.ok(alone - before < 100, `${alone - before} MiB more with one text`);
    assert.ok(most - before < 200, `${most - before} MiB more with 20`);
  } finally {
    clearInterval(timer);
  }
});

void test('what others do to it', { timeout: 1_800_000 }, async (t) => {
  const panel = await openPanel(t, empty);

  await t.test(
    'a client that does not read its answer holds no more than its share',
    {
      timeout: 600_000,
    },
    async (own) => {
      const row = Buffer.from(`INBOX\t${'4'.repeat(57)}\t`);
      const piece = Buffer.concat(Array.from({ length: 512 }, () => row));
      let sentBytes = 0;
      panel.backend.change({
        script: async (_command, connection) => {
          for (let at = 0; at < 16 * 128; at += 1) {
            await connection.body(piece);
            sentBytes += piece.length;
          }
          await connection.status('+');
        },
      });
      const request = json([
        ['mailboxStatus', { user: alice, field: ['messages'], mailboxMask: 'INBOX' }, 't'],
      ]);
      const before = memoryOf(panel);
      const clients = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const client = await openRawHttp(panel.unix);
          client.setStopped(true);
          await client.write(request);
          return client;
        }),
      );
      await until(() => sentBytes > 0, 'the begin of an answer');
      // Until no more is taken from the backend, or all of it was.
      for (let last = -1; last !== sentBytes; ) {
        last = sentBytes;
        await pause(1_000);
      }
      const more = memoryOf(panel) - before;
      own.diagnostic(
        `${more.toFixed(0)} MiB more, and ${(sentBytes / 1024 / 1024).toFixed(0)} MiB sent by the backend`,
      );
      assert.ok(sentBytes < 128 * 1024 * 1024, `${sentBytes} bytes were taken from the backend`);
      for (const client of clients) client.close();
    },
  );

  await t.test(
    'clients that break off everywhere leave neither a session nor a descriptor',
    {
      timeout: 600_000,
    },
    async (own) => {
      panel.backend.change({ script: empty });
      await askRaw(panel.unix, options);
      const more = countDescriptors(own, panel.daemon.pid);
      const text = 'x'.repeat(600_000);
      const small = json([['mailboxList', { user: alice }, 't']]);
      const large = json([['save', { user: alice, mailbox: 'INBOX', file: text }, 't']]);
      const whole = [small, large, Buffer.concat([small, small]), Buffer.from(`${options}garbage\r\n\r\n`)];
      const all: Promise<void>[] = [];
      for (let at = 0; at < 100 * Math.max(1, rounds); at += 1) {
        const request = whole[at % whole.length] ?? small;
        const cut = Math.floor((request.length * (1 + ((at * 37) % 100))) / 100);
        const breakOff = async (): Promise<void> => {
          const client = await openRawHttp(panel.unix);
          await client.write(request.subarray(0, cut)).catch(() => undefined);
          if (at % 3 === 0) client.halfClose();
          if (at % 3 === 1) await client.write('\r\n0\r\n\r\n').catch(() => undefined);
          // What has ended is answered, whole or not.
          if (at % 3 === 0 && at % 2 === 0) await client.readAnswer().catch(() => undefined);
          client.reset();
        };
        all.push(breakOff());
        if (all.length % 50 === 0) await Promise.all(all.splice(0));
      }
      await Promise.all(all);
      // Upstreams are kept for the next command.
      const upstreams = (): number => panel.backend.records.filter(({ isOpen }) => isOpen).length;
      await until(() => more() <= upstreams() + 2, 'descriptors as before');
      assert.equal((await askRaw(panel.unix, options)).status, 200);
      const allowed = auditRecords(panel.daemon).filter(
        ({ event, decision }) => event === 'admission' && decision === 'allow',
      );
      assert.ok(panel.backend.commands.length <= allowed.length);
    },
  );
});
