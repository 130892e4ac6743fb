// Goal: explain says what the daemon would say, and which line of the configuration says so; with the exit code for scripts.
import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { test } from 'node:test';
import { deskConfiguration, linesOf, openDesk, requestable } from '../desk.js';

test('an allowed command: the rule with its line, what is sent, whom it concerns, where it goes', async (t) => {
  const { run } = openDesk(t);
  const told = await run('explain', '--listener', 'support', '--user', 'BOB', '--', 'quota', 'get');
  assert.equal(told.exit, 0);
  assert.deepEqual(linesOf(told), [
    'allowed by dovegate.yaml:15, a rule of policy support',
    'requester  -@support',
    'command    quota get',
    'sent as    quota get --',
    'concerns   bob@example.com',
    'effect     read',
    'backend    mail1 (read as Dovecot 2.3 and as 2.4)',
    'not yet    who its users are: the userdb is asked when it comes, and what it says is judged too',
  ]);
});

test('what is available on request says by which rule, and how to ask; --granted supposes a grant', async (t) => {
  const { run } = openDesk(t, requestable);
  const words = ['--listener', 'support', '--user', 'bob', '--', 'mailbox', 'list'];
  const told = await run('explain', ...words);
  assert.equal(told.exit, 77);
  const lines = linesOf(told);
  assert.equal(
    lines[0],
    'denied: no rule allows "mailbox list"; available on request: dovegate request --user bob@example.com --reason WHY -- mailbox list',
  );
  assert.ok(
    lines.includes('on request, approved by 1 person, for 2h, for the users of the request, 20 times:'),
  );
  const json = JSON.parse((await run('explain', '--json', ...words)).stdout.toString());
  assert.deepEqual(json.on_request, {
    rule: 'dovegate.yaml:17',
    approvals: 1,
    for: '2h',
    scope: 'user',
    uses: 20,
    request: 'dovegate request --user bob@example.com --reason WHY -- mailbox list',
  });
  const granted = await run('explain', '--granted', ...words);
  assert.equal(granted.exit, 0);
  assert.equal(linesOf(granted)[0], 'allowed by dovegate.yaml:17, a rule of policy support');
  assert.match(granted.text, /on terms +while its grant lasts/);
});

test('a near miss of a rule on request is named with its terms', async (t) => {
  const { run } = openDesk(t, requestable);
  const words = ['--listener', 'support', '--user', 'bob', '--', 'expunge', 'mailbox', 'INBOX', 'body', 'x'];
  const told = await run('explain', ...words);
  assert.equal(told.exit, 77);
  const lines = linesOf(told);
  assert.match(lines[0] ?? '', /^denied: no rule allows "expunge" like this, even on request: /);
  const at = lines.indexOf('nearest rule, dovegate.yaml:18:');
  assert.deepEqual(lines.slice(at + 1, at + 4), [
    'expunge',
    'on request, approved by 2 persons, for 1h, for one command line, once',
    'what is missing:',
  ]);
});

test('a name split or joined, options in any order, and words behind a second -- are the words of the line', async (t) => {
  const { run } = openDesk(t);
  const sent = async (...words: string[]): Promise<string[]> => {
    const told = await run('explain', '--listener', 'support', '--user', 'bob', '--', ...words);
    assert.equal(told.exit, 0, told.text);
    return linesOf(told).filter((line) => line.startsWith('sent as'));
  };
  const canonical = ['sent as    mailbox list -s -- INBOX'];
  assert.deepEqual(await sent('mailbox', 'list', 'INBOX', '-s'), canonical);
  assert.deepEqual(await sent('mailbox list', '--subscriptions', '--', 'INBOX'), canonical);
});

test('a denied command names the nearest rule and what it misses', async (t) => {
  const { run } = openDesk(t);
  const words = 'flags add \\Seen mailbox Trash savedbefore 10d'.split(' ');
  const told = await run('explain', '--listener', 'support', '--user', 'bob', '--', ...words);
  assert.equal(told.exit, 77);
  const lines = linesOf(told);
  const at = lines.findIndex((line) => line.startsWith('nearest rule'));
  assert.deepEqual(lines.slice(at, at + 8), [
    'nearest rule, dovegate.yaml:19:',
    'flags add',
    'query: every mail it selects has mailbox Trash or Junk and savedbefore at least 30d',
    'no other options',
    'the client must say why',
    'at most 20 an hour',
    'what is missing:',
    'query must hold savedbefore at least 30d, for every mail that it selects',
  ]);
  assert.match(told.text, /^denied: no rule allows "flags add" like this/);
});

test('a command for all users in front of Dovecot 2.3: first that it cannot be carried out, and no lines', async (t) => {
  const { run } = openDesk(t);
  const told = await run('explain', '--listener', 'support', '--series', '2.3', '--', 'quota', 'get', '-A');
  assert.equal(told.exit, 77);
  assert.match(
    told.text,
    /^it cannot be carried out: Dovecot 2\.3 has no command for all users, .*; for each user of a list, use "dovegate send --users FILE"; and it is denied: /,
  );
  assert.doesNotMatch(told.text, /to allow it, /);
});

test('a denial prints the lines to paste and what else they allow; pasted, they allow the command', async (t) => {
  const cases: readonly (readonly [user: string, words: string, shown: readonly RegExp[]])[] = [
    [
      'bob',
      'flags add \\Seen mailbox Trash savedbefore 10d',
      [
        /\nto allow it, add to policies\.support\.allow \(dovegate\.yaml:14\):\n {2}- command: flags add\n {4}where: /,
        /\nthe lines below would allow as well:\n {2}more than the rule at dovegate\.yaml:19 allows: query\n {2}the same for every user of \*@example\.com but those that the policy excepts\n/,
        /savedbefore at least 10d\nto allow it, add/,
        /\n {4}reason: required\n {4}limit: 20\/hour\n/,
      ],
    ],
    [
      'bob',
      'mailbox status messages INBOX',
      [/ {2}- mailbox status\n/, /any arguments but those that a rule must name/],
    ],
    ['bob', 'mailbox create New', [/where: \{ mailbox: \[New\] \}/]],
    ['bob', 'fetch text mailbox INBOX all', [/content: true/, /also what mails say/]],
    ['bob', 'mailbox list -F /etc/passwd', []],
    [
      'dora@example.org',
      'quota get',
      [
        /insert before the closing \] of policies\.support\.users .*:\n {2}, dora@example\.org\n/,
        /everything else that/,
      ],
    ],
    ['dora@example.org', 'mailbox create New', [/policies\.support\.users/, /policies\.support\.allow/]],
    ['', 'reload', [/root_equivalent: true/, /amounts to root on the mail server/]],
  ];
  for (const [user, words, shown] of cases) {
    const who = user === '' ? [] : ['--user', user];
    const args = ['--listener', 'support', ...who, '--', ...words.split(' ')];
    const { run } = openDesk(t);
    const told = await run('explain', ...args);
    assert.equal(told.exit, 77, told.text);
    for (const each of shown) assert.match(told.text, each);
    const json = JSON.parse((await run('explain', '--json', ...args)).stdout.toString());
    const grants: { into: string; lines: string[] }[] = json.to_allow ?? [];
    if (shown.length > 0) assert.ok(grants.length > 0, words);
    if (grants.length === 0) continue;
    let configuration = deskConfiguration;
    for (const { into, lines } of grants) {
      if (into.endsWith('.allow')) {
        const pasted = lines.map((line) => `      ${line}\n`).join('');
        configuration = configuration.replace(
          '    deny: [mailbox delete]',
          `${pasted}    deny: [mailbox delete]`,
        );
      } else {
        configuration = configuration.replace(
          '"*@example.net"]\n    except',
          `"*@example.net"${lines.join('')}]\n    except`,
        );
      }
    }
    // The route of the other domain.
    configuration = configuration.replace(
      '"*@example.net"], backend',
      '"*@example.net", "*@example.org"], backend',
    );
    const again = await openDesk(t, configuration).run('explain', ...args);
    assert.equal(again.exit, 0, `${words}\n${again.text}`);
  }
});

test('what is said to edit is said by how the list is written, and pasted as it is it allows the command', async (t) => {
  const start = deskConfiguration.indexOf('    allow:\n      - quota get');
  const end = deskConfiguration.indexOf('  watch:\n');
  const written = (allow: string) =>
    `${deskConfiguration.slice(0, start)}    ${allow}\n${deskConfiguration.slice(end)}`;
  const paste: Readonly<Record<string, (lines: readonly string[]) => string>> = {
    'allow: []': (lines) => lines.join('\n    '),
    'allow: [quota get]': (lines) => `allow: [quota get${lines.join('\n      ')}]`,
    'allow: [{ command: quota get }, who]': (lines) =>
      `allow: [{ command: quota get }, who${lines.join('\n      ')}]`,
    'allow:\n      - who': (lines) => ['allow:', '- who', ...lines].join('\n      '),
  };
  for (const [allow, edited] of Object.entries(paste))
    for (const words of ['mailbox delete Old', 'mailbox list', 'fetch text all']) {
      const args = ['--listener', 'support', '--user', 'bob', '--', ...words.split(' ')];
      const told = await openDesk(t, written(allow)).run('explain', ...args);
      assert.equal(told.exit, 77, told.text);
      const [, edit = '', shown = ''] =
        /\nto allow it, (.*):\n([^]*)$/.exec(told.text) ?? assert.fail(told.text);
      assert.match(
        edit,
        allow === 'allow: []'
          ? /^replace "allow: \[\]" of policies\.support \(.*:14\) with$/
          : /\.allow \(.*:14\)$/,
      );
      const lines = shown
        .trimEnd()
        .split('\n')
        .map((line) => line.slice(2));
      const again = await openDesk(t, written(edited(lines))).run('explain', ...args);
      assert.equal(again.exit, 0, `${edited(lines)}\n${again.text}`);
    }
});

test('a policy with presets only has no list yet: the lines begin with allow:, and pasted in line with use: they allow it', async (t) => {
  const start = deskConfiguration.indexOf('    allow:\n      - quota get');
  const end = deskConfiguration.indexOf('  watch:\n');
  const configuration = `${deskConfiguration.slice(0, start)}    use: [presets/support-desk]\n${deskConfiguration.slice(end)}`;
  const args = ['--listener', 'support', '--user', 'bob', '--', 'mailbox', 'delete', 'Old'];
  const told = await openDesk(t, configuration).run('explain', ...args);
  assert.equal(told.exit, 77, told.text);
  const [, shown = ''] =
    /\nto allow it, add to policies\.support \(dovegate\.yaml:11\), in line with its other keys:\n([^]*)$/.exec(
      told.text,
    ) ?? [];
  assert.match(shown, /^ {2}allow:\n {4}- command: mailbox delete\n/, told.text);
  const pasted = shown
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}\n`)
    .join('');
  const again = await openDesk(
    t,
    configuration.replace('    use: [presets/support-desk]\n', (use) => `${use}${pasted}`),
  ).run('explain', ...args);
  assert.equal(again.exit, 0, again.text);
});

test('no lines for all users where the policy is not for everybody: what it needs, and what to do instead', async (t) => {
  const everybody = deskConfiguration.replace(
    'users: ["*@example.com", "*@example.net"]\n    except',
    'users: ["*"]\n    except',
  );
  for (const configuration of [deskConfiguration, everybody]) {
    const { run } = openDesk(t, configuration);
    const words = 'flags add -A \\Seen mailbox Trash savedbefore 30d'.split(' ');
    const args = ['--listener', 'support', '--user', 'bob', '--', ...words];
    const told = await run('explain', ...args);
    assert.equal(told.exit, 77, told.text);
    assert.doesNotMatch(told.text, /to allow it, add/);
    assert.match(
      told.text,
      /\n\nno rule here can allow it for all users: it needs users: \["\*"\] and no except in policy support; .*"dovegate send --users FILE"\n$/,
    );
    const json = JSON.parse((await run('explain', '--json', ...args)).stdout.toString());
    assert.equal(json.to_allow, undefined);
    assert.match(json.cannot_allow, /^no rule here can allow it for all users/);
  }
});

test('a denying line is named: an exception, a deny, users of others', async (t) => {
  const { run } = openDesk(t);
  const first = async (user: string, ...words: string[]): Promise<string | undefined> => {
    const told = await run('explain', '--listener', 'support', '--user', user, '--', ...words);
    assert.equal(told.exit, 77);
    return linesOf(told)[0];
  };
  assert.equal(
    await first('CEO', 'quota get'),
    'denied by dovegate.yaml:13: policy support excepts a user of this command',
  );
  assert.equal(
    await first('bob', 'mailbox delete', 'Old'),
    'denied by dovegate.yaml:23: a rule of policy support denies "mailbox delete"',
  );
  assert.equal(
    await first('bob@example.org', 'quota get'),
    'denied by dovegate.yaml:12: policy support does not hold for a user of this command',
  );
  assert.equal(await first('bob', 'sieve', 'list'), 'denied: no rule allows "sieve list"');
});

test('terms that an allowed command must meet are told', async (t) => {
  const { run } = openDesk(t);
  const words = 'flags add \\Seen mailbox Trash savedbefore 40d'.split(' ');
  const told = await run('explain', '--listener', 'support', '--user', 'bob', '--', ...words);
  assert.equal(told.exit, 0);
  assert.ok(linesOf(told).includes('on terms   the client must say why; within the limit of its rule'));
});

test('under observe it says both: allowed, and what enforce would say', async (t) => {
  const { run } = openDesk(t);
  const told = await run('explain', '--listener', 'audit', '--user', 'bob', '--', 'mailbox', 'list');
  assert.equal(told.exit, 0);
  assert.equal(
    linesOf(told)[0],
    'allowed, since policy watch observes only; the rules would deny it: no rule allows "mailbox list"',
  );
});

test('what cannot be read is no denial: exit 64, with the name that was meant', async (t) => {
  const { run } = openDesk(t);
  const told = await run('explain', '--listener', 'support', '--user', 'bob', '--', 'mailbox', 'lsit');
  assert.equal(told.exit, 64);
  assert.match(told.text, /did you mean "mailbox list"\?/);
  const surplus = await run('explain', '--listener', 'support', '--user', 'bob', '--', 'quota get', 'more');
  assert.equal(surplus.exit, 64);
});

test('where the series differ, each answer is told; with --series, one', async (t) => {
  const { run } = openDesk(t, deskConfiguration.replace('- quota get', '- fts flatcurve check'));
  const words = ['--', 'fts', 'flatcurve', 'check', 'INBOX'];
  const both = await run('explain', '--listener', 'support', '--user', 'bob', ...words);
  // The first upstream shows which it is; the line is judged again for that one.
  assert.equal(both.exit, 0);
  assert.match(both.text, /Dovecot 2\.3: cannot be read.*\n.*Dovecot 2\.4: allowed/);
  const one = await run('explain', '--listener', 'support', '--user', 'bob', '--series', '2.4', ...words);
  assert.equal(one.exit, 0);
});

test('a route is told, or why there is none; who asks is told by the name of the uid', async (t) => {
  const { run } = openDesk(
    t,
    deskConfiguration.replace('"*@example.net"], backend', '"*@example.org"], backend'),
  );
  const uid = String(userInfo().uid);
  const args = ['--listener', 'support', '--uid', uid, '--user', 'bob@example.net', '--', 'quota', 'get'];
  const told = await run('explain', ...args);
  assert.equal(told.exit, 75);
  assert.match(
    linesOf(told)[0] ?? '',
    /^allowed by .*, and it cannot be carried out: no route matches this user$/,
  );
  assert.ok(linesOf(told).includes(`requester  ${userInfo().username}@support`), told.text);
  assert.ok(
    linesOf(told).includes('backend    none: no route matches this user (read as 2.3 and as 2.4)'),
    told.text,
  );
});

test('an allowed command that cannot be carried out as it is written ends with 64, as the daemon says -USAGE', async (t) => {
  const all = `  all:
    users: ["*"]
    allow:
      - { command: quota get, all_users: true }
      - { command: save, all_users: true }
  watch:`;
  const { run } = openDesk(
    t,
    deskConfiguration.replace('  watch:', all).replace('policy: watch', 'policy: all'),
  );
  const asked = async (series: string, ...words: string[]) => {
    const told = await run('explain', '--listener', 'audit', '--series', series, '--', ...words);
    return [told.exit, linesOf(told)[0]?.replace(/.*carried out: /, '')];
  };
  assert.deepEqual(await asked('2.3', 'quota', 'get', '-A'), [
    64,
    'Dovecot 2.3 has no command for all users, and a backend here is of it, or not known yet; for each user of a list, use "dovegate send --users FILE"',
  ]);
  assert.deepEqual(await asked('2.4', 'save', '-A'), [
    64,
    '"save" takes input, which goes to one user\'s backend only',
  ]);
  assert.equal((await asked('2.4', 'quota', 'get', '-A'))[0], 0);
});

test('--json holds the decision, the line and the canonical form', async (t) => {
  const { run } = openDesk(t);
  const args = ['--listener', 'support', '--user', 'bob', '--json', '--', 'fetch', 'uid', 'all'];
  const told = await run('explain', ...args);
  assert.equal(told.exit, 0);
  const { decision, rule, args: sent, principal, backend, users } = JSON.parse(told.stdout.toString());
  assert.deepEqual(
    { decision, rule, sent, principal, backend, users },
    {
      decision: 'allow',
      rule: 'dovegate.yaml:17',
      sent: ['--', 'uid', 'all'],
      principal: '-@support',
      backend: 'mail1',
      users: ['bob@example.com'],
    },
  );
});

test('what was typed cannot speak to the terminal, and --json stays JSON', async (t) => {
  const { run } = openDesk(t);
  const word = 'a\u202eb\u009bc\u001b[2J';
  for (const [more, ...command] of [
    [[], 'mailbox list'],
    [['--json'], 'mailbox list'],
    [['--json'], 'mailbox', 'status', 'messages'],
  ] as const) {
    const args = ['--listener', 'support', '--user', 'bob', ...more, '--', ...command, word];
    const { stdout, text } = await run('explain', ...args);
    assert.doesNotMatch(text, /[\u001b\u0080-\u009f\u202a-\u202e]/);
    if (command.length > 1)
      assert.ok(
        JSON.stringify(JSON.parse(stdout.toString())).includes(JSON.stringify(word).slice(1, -1)),
        text,
      );
  }
});

test('a listener that is not there: 64, and the nearest; a broken configuration: 78, and every problem', async (t) => {
  const { run } = openDesk(t);
  const told = await run('explain', '--listener', 'suport', '--', 'who');
  assert.equal(told.exit, 64);
  assert.match(told.stderr, /has no listener "suport"; did you mean support\?/);
  const broken = openDesk(
    t,
    deskConfiguration.replace('quota get', 'quota gte').replace('tls: off', 'tls: of'),
  );
  const failed = await broken.run('explain', '--listener', 'support', '--', 'who');
  assert.equal(failed.exit, 78);
  assert.match(failed.stderr, /dovegate\.yaml:7:.*\n[^]*dovegate\.yaml:15:.*did you mean quota get\?/);
});

test('wrong options end with 64, --help with 0', async (t) => {
  const { run } = openDesk(t);
  assert.equal((await run('explain', '--', 'who')).exit, 64);
  assert.equal((await run('explain', '--listener', 'support', '--series', '2.5', '--', 'who')).exit, 64);
  assert.equal(
    (await run('explain', '--listener', 'support', '--uid', 'no-such-user', '--', 'who')).exit,
    64,
  );
  assert.equal((await run('explain', '--listener', 'support')).exit, 64);
  const help = await run('explain', '--help');
  assert.equal(help.exit, 0);
  assert.match(help.text, /--series/);
});

test('the id of a denial is no command: what prints its record', async (t) => {
  const { run } = openDesk(t);
  const id = '01M7Y47GMRH0N6YK13HWJCF465';
  for (const more of [[], ['--listener', 'support', '--']]) {
    const told = await run('explain', ...more, id);
    assert.equal(told.exit, 64);
    assert.ok(
      told.stderr.startsWith(`error: explain takes a command; dovegate audit show ${id} prints the record\n`),
      told.text,
    );
  }
});
