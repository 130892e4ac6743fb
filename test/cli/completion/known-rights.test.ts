// Goal: who presses TAB again and again asks the daemon once a minute; what is kept lies where only this user can write.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFolder } from '../../kit/folder.js';
import { auditRecords, openGateway } from '../../kit/gateway.js';
import { runWarm } from '../../kit/warm-program.js';

void test('what a socket permits is asked once a minute, and kept in a folder of this user only', async (t) => {
  const folder = openFolder(t);
  const policy = `
    users: ["*@example.org"]
    allow: [mailbox list, mailbox create]`;
  const { daemon } = await openGateway(t, { policy });
  const socket = daemon.path('support.sock');
  let own = '';
  const complete = async (): Promise<readonly string[]> => {
    const args = ['complete', '--name', 'doveadm', '--', 'mailbox', ''];
    const { stdout } = await runWarm(args, { env: { DOVEADM_SOCKET: socket, XDG_RUNTIME_DIR: own } });
    return stdout
      .toString()
      .split('\n')
      .slice(1, -1)
      .map((line) => line.split('\t')[0] ?? '');
  };
  const asked = (): number => new Set(auditRecords(daemon).flatMap(({ session }) => session ?? [])).size;
  const expectAsked = async (count: number, why: string): Promise<void> => {
    const before = asked();
    for (let times = 0; times < 3; times += 1) assert.deepEqual(await complete(), ['create', 'list']);
    assert.equal(asked() - before, count, why);
  };

  await expectAsked(3, 'without a folder');
  own = join(folder, 'own');
  mkdirSync(own, { mode: 0o700 });
  await expectAsked(1, 'with one');
  const [name = ''] = readdirSync(own);
  assert.equal(statSync(join(own, name)).mode & 0o777, 0o600);
  const old = Date.now() / 1000 - 61;
  utimesSync(join(own, name), old, old);
  await expectAsked(1, 'after a minute');
  writeFileSync(join(own, name), '{"no":"rows"}');
  await expectAsked(1, 'damaged');
  assert.deepEqual(readdirSync(own), [name]);
  chmodSync(own, 0o755);
  await expectAsked(3, 'others can look there');
  chmodSync(own, 0o700);
  if (process.geteuid?.() === 0) {
    chownSync(own, 65_534, 65_534);
    await expectAsked(3, 'the folder of another user');
  }
});
