// Goal: the password of a real Dovecot is changed as docs/tasks.md says, while clients go on asking, and none of their commands fails for
// it. Phases: two password files; the new password in Dovecot and a reload of it; one password file again. What must not happen: a command
// that fails because of dovegate, a daemon that needs the old password afterwards.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runWarm } from '../../kit/gate/warm-program.js';
import { until } from '../../kit/plain/until.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const newPassword = 'Heron2+Granite/zither4';

onDovecot('a password is rotated, and no command fails for it', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab, { idle: 1, more: 'admin: { unix: admin.sock }' });
  const { daemon } = gateway;
  const one = readFileSync(daemon.configFile, 'utf8');
  const statuses: string[] = [];
  const clients = { isOver: false };
  const asking = Array.from({ length: 3 }, async () => {
    const client = await gateway.client({ minor: 2 });
    while (!clients.isOver) {
      statuses.push((await client.ask({ user: alice, fields: ['quota get'] })).status);
      await pause(10);
    }
  });
  const more = async (count: number): Promise<void> => {
    const before = statuses.length;
    await until(() => statuses.length >= before + count, 'more answers', 60_000);
  };
  const reload = async (text: string): Promise<void> => {
    daemon.write('dovegate.yaml', text);
    const done = await runWarm(['reload', '--config', daemon.configFile], { cwd: daemon.folder });
    assert.equal(done.exit, 0, done.text);
  };
  await more(20);
  daemon.write('mail1.next', `${newPassword}\n`);
  chmodSync(join(daemon.folder, 'mail1.next'), 0o600);
  await reload(one.replace('password_file: mail1.password', 'password_file: [mail1.password, mail1.next]'));
  await more(20);
  writeFileSync(join(lab.folder, 'extra.conf'), `doveadm_password = ${newPassword}\n`);
  assert.equal((await lab.doveadm(['reload'])).exit, 0);
  // Those that were logged in before live on, of some releases for 12 s at most: new ones need the new password.
  await more(200);
  copyFileSync(join(daemon.folder, 'mail1.next'), join(daemon.folder, 'mail1.password'));
  const dialled = (): number => daemon.logs.filter(({ event }) => event === 'upstream-opened').length;
  const before = dialled();
  // Other password files are another backend: it is dialled again, with the new password alone.
  await reload(one);
  await more(50);
  assert.ok(dialled() > before);
  clients.isOver = true;
  await Promise.all(asking);
  const completions = (await gateway.finish()).filter(({ record }) => record['event'] === 'completion');
  const failed = completions.filter(({ record }) => record['outcome'] !== 'ok');
  t.diagnostic(`${completions.length} commands; of Dovecot's own reload failed ${failed.length}`);
  // During a reload Dovecot itself sometimes answers TEMPFAIL, or closes a connection in the middle of a command.
  for (const { record, text } of failed)
    assert.match([record['outcome'], record['error']].join(' '), /^(?:failed |unknown closed-early)$/, text);
  assert.ok(failed.length < 10, String(failed.length));
  const said = daemon.grepSecrets([newPassword]).filter((place) => !place.startsWith('mail1.'));
  assert.deepEqual(said, []);
});
