// Goal: bodies of HTTP requests cannot fill the disk of `state`. Phases: a client that stops in the middle of a long body; other requests
// of the same client, and of another one, while it is held; a key whose policy permits no `file`; room again when the client left. What
// must not happen: a byte stored of a request that cannot be kept, `100 Continue` for it, a small request that is refused.
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Daemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { askRaw, encodePost, openRawHttp } from '../../kit/plain/raw-http.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const asRoot = onlyRoot('can be several users');
const mebibyte = 1024 * 1024;
const listeners = `
  one: { unix: one.sock, protocol: http, mode: "0666", policy: support }
  two: { unix: two.sock, protocol: http, mode: "0666", policy: support }
  three: { unix: three.sock, protocol: http, mode: "0666", policy: support }
  reader: { unix: reader.sock, protocol: http, mode: "0666", policy: reader }`;
const policy = `
    users: ["*@example.org"]
    allow: [mailbox status, save]
  reader: { users: ["*@example.org"], allow: [mailbox status] }`;
// As large as what all bodies together may have: one such body fits, and none beside another one.
const more = 'limits: { http_body: 512MiB, input_time: 120s }';

function save(bytes: number): string {
  const file = `${'a'.repeat(76)}\r\n`.repeat(bytes / 78);
  return JSON.stringify([['save', { user: 'alice@example.org', mailbox: 'INBOX', file }, 't']]);
}

/** Bytes in files of the daemon without a name. */
function storedBy(daemon: Daemon): number {
  const folder = `/proc/${daemon.pid}/fd`;
  let bytes = 0;
  for (const name of readdirSync(folder)) {
    try {
      if (!readlinkSync(join(folder, name)).startsWith(daemon.path('state/body-'))) continue;
      bytes += statSync(join(folder, name)).size;
    } catch {
      // Closed meanwhile.
    }
  }
  return bytes;
}

test(
  'bodies on disk have a size: of one client, of all, and nothing is stored that cannot be kept',
  asRoot,
  async (t) => {
    const { daemon } = await openGateway(t, {
      listeners,
      policy,
      more,
      backend: {
        script: async (command, connection) => {
          if (command.fields[0] === 'save') await connection.readInput();
          await connection.status('+');
        },
      },
    });
    chmodSync(daemon.folder, 0o711);
    /** Each listener is for another user. */
    const uids: Readonly<Record<string, number>> = { two: 64_002, three: 64_003 };
    const at = (name: string) => ({ path: daemon.path(`${name}.sock`), timeoutMs: 30_000, uid: uids[name] });
    const ask = async (name: string, bytes: number) => {
      const { status, body } = await askRaw(at(name), encodePost({ body: save(bytes) }));
      return { status, text: body.toString() };
    };
    /** The answer to the head of a request with the largest body. */
    const announce = async (name: string, header = '') => {
      const head = `POST /doveadm/v1 HTTP/1.1\r\nHost: x\r\n${header}Content-Length: ${512 * mebibyte}\r\n\r\n`;
      const { status, body, interim } = await askRaw(at(name), head);
      assert.deepEqual(interim, []);
      return { status, text: body.toString() };
    };

    // 3 MiB of 4 arrive, and no more.
    const slow = await openRawHttp(at('one'));
    await slow.write(`POST /doveadm/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${4 * mebibyte - 100}\r\n\r\n`);
    await slow.write(Buffer.from(save(3 * mebibyte).slice(0, 3 * mebibyte - 1000)));
    await until(() => storedBy(daemon) > 2.8 * mebibyte, 'the body is stored');

    const own = await announce('one');
    assert.equal(own.status, 503);
    assert.match(own.text, /^There is no room for the request: requests of this account hold \d+ bytes, /);
    assert.equal((await announce('one', 'Expect: 100-continue\r\n')).status, 503, 'and no 100');
    assert.equal((await ask('one', 20_000)).status, 200, 'small bodies stay in memory');

    const second = await openRawHttp(at('two'));
    await second.write(`POST /doveadm/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${3 * mebibyte}\r\n\r\n`);
    await second.write(Buffer.from(save(2 * mebibyte).slice(0, 2 * mebibyte - 1000)));
    await until(() => storedBy(daemon) > 4.8 * mebibyte, 'the second body is stored');
    const full = await announce('three');
    assert.equal(full.status, 503);
    assert.match(full.text, /all requests hold \d+ bytes, and may hold 536870912; try again later/);
    assert.ok(storedBy(daemon) <= 6 * mebibyte, 'nothing of it is stored');

    // bounds.httpCommandsBytes
    const needless = await ask('reader', 2 * mebibyte);
    assert.equal(needless.status, 413);
    assert.match(needless.text, /longer than 1048576 bytes: no command with a "file" is permitted here/);

    slow.close();
    second.close();
    await until(() => storedBy(daemon) === 0, 'their files are gone');
    assert.equal((await ask('one', 2 * mebibyte)).status, 200);
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  },
);
