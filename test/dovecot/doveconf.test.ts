// Goal: what a real Dovecot prints of its settings is read as it understands them, also values of several lines, which 2.4.5 brought.
import assert from 'node:assert/strict';
import { isSince } from '../../src/protocol/releases.js';
import { parseDoveconf } from '../../src/setup/doveconf.js';
import type { Lab } from '../kit/dovecot-lab.js';
import { runProgram } from '../kit/program.js';
import { onDovecot, openBareDovecot } from './real-gateway.js';

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
  assert.equal(before.nameCase, 'fold');
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
