// Goal: doctor says where the auth service is, and why it cannot be asked; with no user to ask for, too. What must not happen: silence.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { lookAtNames } from '../../../src/gate/health/names-look.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { settingsOf, sound } from '../../rules/config/sound.js';

void test('an auth service that nobody reaches is named, and one that answers is not', async (t) => {
  const resolve = join(openFolder(t), 'dovegate-userdb');
  const { mailUsers } = settingsOf(`${sound}mail_users: { resolve: ${resolve} }\n`);
  const look = async (...users: string[]) =>
    (await lookAtNames(mailUsers, users, systemClock)).map(
      ({ status, text, todo }) => `${status}: ${text}; ${todo}`,
    );
  const refused = `bad: ${resolve} (mail_users.resolve): nothing listens at its socket, or dovegate may not open it; see whether the auth service runs, and its log`;
  assert.deepEqual(await look('alice@example.com'), [refused]);
  assert.deepEqual(await look(), [refused]);

  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('VERSION\t1\t2\nSPID\t17\n');
    socket.on('data', (bytes) => {
      for (const [, id] of bytes.toString().matchAll(/^USER\t(\d+)/gm)) socket.write(`NOTFOUND\t${id}\n`);
    });
  });
  t.after(() => server.close());
  server.listen(resolve);
  await once(server, 'listening');
  assert.deepEqual(await look(), []);
  assert.deepEqual(await look('alice@example.com'), []);
});
