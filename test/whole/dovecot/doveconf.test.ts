// Goal: what a real Dovecot prints of its settings is read as it understands them, also values of several lines, which 2.4.5 brought.
import assert from 'node:assert/strict';
import { isSince } from '../../../src/doveadm/protocol/releases.js';
import { parseDoveconf } from '../../../src/rules/setup/doveconf.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { ends, runProgram } from '../../kit/plain/program.js';
import {
  onDovecot,
  openBareDovecot,
  openRealGateway,
  passwordSetting,
  userdbListener,
} from './real-gateway.js';

async function printedBy(lab: Lab): Promise<string> {
  const inside = lab.inRoot(lab.folder);
  const own = ['doveconf', '-n', '-c', `${inside}/dovecot.conf`];
  const [file = '', ...rest] =
    inside === lab.folder ? own : ['chroot', lab.folder.slice(0, -inside.length), ...own];
  return (await runProgram(file, rest, { env: { TMPDIR: undefined } })).stdout.toString();
}

onDovecot('values of several lines', openBareDovecot, async (t, lab) => {
  const before = parseDoveconf(await printedBy(lab));
  assert.equal(before?.version.startsWith(lab.version), true);
  assert.equal(before.names.case, 'fold');
  const literal = 'login_greeting = "<<EOD"\n';
  const heredocs = `namespace inbox {
  mail_path = <<END OF IT
}
base_dir = /elsewhere
service doveadm {
  END OF IT
END OF IT
}
auth_username_format = <<EOD
%{user | lower}
EOD
`;
  const isNew = lab.series === '2.4' && isSince(lab.version, '2.4.5');
  await lab.writeExtraConf(isNew ? `${heredocs}${literal}` : literal);
  const printed = await printedBy(lab);
  t.diagnostic(`<< in ${[...printed.matchAll(/^.*<<.*$/gm)].join(', ')}`);
  assert.deepEqual(parseDoveconf(printed), before);
});

onDovecot('the domain of names is dropped, and resolve closes it', openBareDovecot, async (t, lab) => {
  const format = lab.series === '2.3' ? '%Ln' : '%{user | username | lower}';
  await lab.writeExtraConf(`${passwordSetting}auth_username_format = ${format}\n${userdbListener}`);
  assert.deepEqual(parseDoveconf(await printedBy(lab))?.names, {
    case: 'fold',
    merged: 'drops the domain of names (auth_username_format)',
  });
  await lab.addUsers(['ceo:{PLAIN}pw::::::']);
  const policy =
    '\n    users: ["*@sales.example.com"]\n    logs: full\n    allow: [mailbox list, mailbox status]';
  const gateway = await openRealGateway(t, lab, { policy });
  const list = ['mailbox', 'list', '-u', 'ceo@sales.example.com'];
  await ends(0, gateway.doveadm(list));
  // Dovecot's own line names another user, and is not passed on.
  const failed = await ends(68, gateway.doveadm([...list.with(1, 'status'), 'messages', 'Nope']));
  assert.match(failed.stderr, /the backend says: not found/);
  const resolve = `mail_users: { resolve: ${lab.folder}/run/dovegate-userdb }`;
  await gateway.reload({ policy, more: resolve });
  await ends(77, gateway.doveadm(list));
  const { stdout } = await runWarm(['doctor', '--config', gateway.daemon.configFile, '--user', 'ceo@a.b']);
  assert.match(stdout.toString(), /^ok +mail users +the auth service takes names in any case/m);
  await gateway.finish();
});

onDovecot(
  'what doveadm_allowed_commands refuses is known not to have run',
  openBareDovecot,
  async (t, lab) => {
    await lab.writeExtraConf(`${passwordSetting}doveadm_allowed_commands = purge\n`);
    assert.match(parseDoveconf(await printedBy(lab))?.allowedCommands ?? '', /^purge$/);
    await lab.addUsers(['carol@example.org:{PLAIN}pw::::::']);
    const gateway = await openRealGateway(t, lab, { allow: ['save', 'force-resync'] });
    const user = ['-u', 'carol@example.org'];
    const asked = [
      ['force-resync', ...user, 'INBOX'],
      ['quota', 'get', ...user],
      ['save', ...user],
    ];
    for (const words of asked) {
      const { exit, text } = await gateway.doveadm(words, { stdin: 'Subject: a\n\nb\n' });
      assert.equal(exit, 77, text);
      assert.match(text, /does not allow this command: nothing ran/);
    }
    const failed = (await gateway.finish('completion')).filter(({ outcome }) => outcome !== 'ok');
    const said = failed.map(({ outcome, error, sent }) => ({ outcome, error, sent }));
    const expected = { outcome: 'failed', error: 'backend-refused', sent: true };
    assert.deepEqual(said, [expected, expected, expected]);
  },
);
