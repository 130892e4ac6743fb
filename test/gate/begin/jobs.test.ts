// Goal: one line makes the calls of a script or a crontab go to dovegate, and each call that it does not reach is named. What must not
// happen: a line in a text whose calls it would break, or a call that is left out without a word.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindOf, readJob, withLines, withoutLines } from '../../../src/gate/begin/jobs.js';

const folder = '/usr/lib/dovegate/bin';

/** `NUMBER` of a call that goes, or `NUMBER: why`. */
const callsOf = (text: string, path = '/usr/local/bin/job') =>
  readJob(kindOf(path, text), text).calls.map(({ number, why }) =>
    why === undefined ? String(number) : `${number}: ${why}`,
  );

test('a script gets one line after its first, and loses it again', () => {
  const script =
    '#!/bin/sh -e\ndoveadm -f tab quota get -A | sort\nfor u in a b; do doveadm purge -u "$u"; done\n';
  const job = readJob('script', script);
  assert.deepEqual(job.added, [`PATH=${folder}:$PATH`]);
  const moved = withLines(script, job);
  assert.equal(moved, script.replace('\n', `\nPATH=${folder}:$PATH\n`));
  assert.deepEqual(callsOf(moved), ['3', '4']);
  const again = readJob('script', moved);
  assert.ok(again.isMoved && again.added.length === 0);
  assert.equal(withoutLines(moved, job.added), script);
  assert.equal(withoutLines(script, job.added), undefined);
  assert.deepEqual(readJob('script', script, '/run/dovegate/backup.sock').added, [
    `PATH=${folder}:$PATH DOVEADM_SOCKET=/run/dovegate/backup.sock; export DOVEADM_SOCKET`,
  ]);
});

test('a crontab gets a literal value: its own one behind the folder, if it has one', () => {
  const crontab = '# mail\nMAILTO=ops\n5 4 * * * doveadm expunge -A mailbox Trash savedbefore 30d\n';
  const job = readJob(kindOf('crontab:root', crontab), crontab);
  assert.deepEqual([job.at, job.added], [0, [`PATH=${folder}:/usr/local/bin:/usr/bin:/bin`]]);
  assert.equal(withLines(crontab, job), `${job.added[0]}\n${crontab}`);
  const own = `PATH="/usr/sbin:/usr/bin"\n${crontab}`;
  assert.deepEqual(readJob('crontab', own).added, [`PATH=${folder}:/usr/sbin:/usr/bin`]);
  assert.equal(readJob('crontab', own).at, 1);
  assert.ok(readJob('crontab', withLines(own, readJob('crontab', own))).isMoved);
  assert.match(
    readJob('crontab', `${own}PATH=/bin\n1 * * * * doveadm who\n`).hindrance ?? '',
    /^several lines set PATH/,
  );
  assert.deepEqual(
    readJob('crontab', crontab, '/run/dovegate/a.sock').added[1],
    'DOVEADM_SOCKET=/run/dovegate/a.sock',
  );
  for (const path of ['/etc/crontab', '/etc/cron.d/mail']) assert.equal(kindOf(path, crontab), 'crontab');
});

test('what PATH does not reach is named, line by line', () => {
  const script = [
    '#!/usr/bin/env bash',
    '/usr/bin/doveadm who',
    'sudo -u vmail doveadm purge -u bob@example.com',
    'env -i doveadm who',
    'PATH=/usr/bin doveadm who',
    'ssh mail2 doveadm who',
    'DV=/usr/bin/doveadm',
    '$DV quota get -u bob@example.com',
    'doveadm quota get -S mail1:24245 -u bob@example.com',
    'eval "doveadm"',
    'DOVE=${DOVE:-doveadm}; GO=$(command -v doveadm)',
    '$DOVE quota get -u "$1"; $GO purge -u "$1"; timeout 5 doveadm who',
    '[ -x /usr/bin/doveadm ] || echo no doveadm here',
  ].join('\n');
  assert.deepEqual(callsOf(script), [
    `2: a full path: write ${folder}/doveadm there, or doveadm`,
    `3: sudo sets a PATH of its own (secure_path, login): write ${folder}/doveadm there`,
    `4: it gets another PATH: write ${folder}/doveadm there`,
    `5: it gets another PATH: write ${folder}/doveadm there`,
    '6: it runs where ssh leads, with the PATH of that place',
    `8: DV is a full path: write ${folder}/doveadm there, or doveadm`,
    '9: -S mail1:24245 is another server, to which the drop-in sends it too: take it out',
    '10: the word is no call that can be read: look at it yourself',
    '12',
    '12',
    '12',
  ]);
});

test('what public scripts do: containers, text of several lines for another shell, back ticks, a loop that reads a list', () => {
  const script = [
    '#!/usr/bin/env bash',
    'for user in `doveadm user "*"`; do',
    '  doveadm backup -n inbox -f -u $user "maildir:$TMP/${user#*@}:LAYOUT=fs"',
    '  out="$(doveadm quota get -u "$user" 2>/dev/null || true)"',
    'done < <(doveadm user -f home "$1" 2>/dev/null | cut -f1)',
    'if ! command -v doveadm >/dev/null; then echo "x: doveadm is missing"; fi',
    'docker-compose exec -T dovecot doveadm expunge -A mailbox Junk savedbefore 12w',
    'doveadm -vD expunge -A mailbox ${box} before ${cutoff}',
    "ssh mail2 sh -lc '",
    '  doveadm purge -A',
    "'",
  ].join('\n');
  assert.deepEqual(callsOf(script), [
    '2',
    '3',
    '4',
    '5',
    '7: it runs where docker-compose leads, with the PATH of that place',
    '8',
    '10: line 9 hands on a text of several lines: look whether this call is in it',
  ]);
});

test('other languages, units and logrotate get no line', () => {
  const place = 'it goes by the PATH of the program that starts this';
  for (const [text, path, ...whys] of [
    ['#!/usr/bin/python3\nrun(["doveadm", "who"])\nrun(["doveadm", "pw", "-l"])', '/x', place, 'pw'],
    ['[Service]\nExecStart=/usr/bin/doveadm purge -A\n', '/etc/systemd/system/p.service', 'a full path'],
    [
      '/var/log/dovecot.log {\n postrotate\n  doveadm log reopen\n endscript\n}',
      '/etc/logrotate.d/d',
      'log reopen',
    ],
    ['#!/bin/bash -r\ndoveadm who', '/x', place],
    ['#!/usr/bin/fish\ndoveadm who', '/x', place],
  ] as const) {
    const job = readJob(kindOf(path, text), text);
    assert.equal(job.hindrance, 'a line with PATH does not reach its calls', text);
    assert.deepEqual(
      job.calls.map(({ why = '' }, at) => why.includes(whys[at] ?? '-')),
      whys.map(() => true),
      JSON.stringify(job.calls),
    );
  }
});

test('a script with a call that the drop-in cannot serve is not changed, until the call has the full path of the real one', () => {
  for (const call of [
    'pw -l',
    'config -n',
    'exec imap',
    'auth test bob',
    'user -u bob@example.com',
    '-c /etc/d.conf quota get -u bob@example.com',
    '-o mail_debug=yes quota get -u bob@example.com',
    'log reopen',
    'reload',
    'nonsense',
  ]) {
    const script = (name: string): string => `#!/bin/sh\ndoveadm who\n${name} ${call}\n`;
    const job = readJob('script', script('doveadm'));
    assert.match(job.hindrance ?? '', /^write the full path of the real doveadm in line 3 first/, call);
    assert.deepEqual(job.added, [], call);
    const kept = readJob('script', script('/usr/bin/doveadm'));
    assert.equal(kept.hindrance, undefined, call);
    assert.match(kept.calls[1]?.why ?? '', /^it stays with the real one: |^a full path/, call);
    // By a variable too.
    const variable = readJob('script', `#!/bin/sh\nD=doveadm\n$D ${call}\n`);
    assert.match(variable.hindrance ?? '', /line 3 first/, call);
  }
});

test('a script that sets PATH itself, or reads itself by lines, is not changed', () => {
  const hindranceOf = (line: string) => readJob('script', `#!/bin/sh\n${line}\ndoveadm who\n`).hindrance;
  assert.equal(hindranceOf('export PATH=/usr/bin:/bin'), `line 2 sets PATH: begin its value with ${folder}:`);
  assert.match(hindranceOf(`tail -n +20 "$0" | sh`) ?? '', /^line 2 reads the script itself/);
  assert.equal(
    readJob('script', '#!/bin/sh\n/usr/bin/doveadm who\n').hindrance,
    'the line would reach no call',
  );
  assert.equal(hindranceOf('# PATH=/usr/bin'), undefined);
});
