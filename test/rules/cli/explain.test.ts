// Goal: explain says what the daemon would say, and which line of the configuration says so; with the exit code for scripts. explained.txt
// has what it prints for each command, as a person approved it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { me, myUid } from '../../kit/plain/me.js';
import { deskConfiguration, openDesk, requestable } from '../../whole/cli/desk.js';

/** What a denial says how to allow. */
const ungranted = [
  ['bob', 'flags add \\Seen mailbox Trash savedbefore 10d'],
  ['bob', 'mailbox status messages INBOX'],
  ['bob', 'mailbox create New'],
  ['bob', 'fetch text mailbox INBOX all'],
  ['bob', 'mailbox list -F /etc/passwd'],
  ['dora@example.org', 'quota get'],
  ['dora@example.org', 'mailbox create New'],
  ['', 'reload'],
] as const;

const desk = deskConfiguration;
const everybody = desk.replace(
  'users: ["*@example.com", "*@example.net"]\n    except',
  'users: ["*"]\n    except',
);
const ofAll = deskConfiguration
  .replace(
    '  watch:',
    '  all:\n    users: ["*"]\n    allow:\n      - { command: quota get, all_users: true }\n      - { command: save, all_users: true }\n  watch:',
  )
  .replace('policy: watch', 'policy: all');
const anyBut = 'flags add -A \\Seen mailbox Trash savedbefore 30d';
const expunging = 'expunge mailbox INBOX body x';
const id = '01M7Y47GMRH0N6YK13HWJCF465';
/** What is asked, a configuration, and arguments; `*` stands for the listener support and the user bob. */
const questions: readonly (readonly [what: string, configuration: string, ...args: string[]])[] = [
  ['allowed', desk, '--listener support --user BOB -- quota get'],
  ['available on request', requestable, '* -- mailbox list'],
  ['available on request, in JSON', requestable, '* --json -- mailbox list'],
  ['available on request, and granted', requestable, '* --granted -- mailbox list'],
  ['a near miss of a rule on request', requestable, `* -- ${expunging}`],
  ['options in any order', desk, '* -- mailbox list INBOX -s'],
  [
    'a name in one word, and words behind a second --',
    desk,
    '* --',
    'mailbox list',
    '--subscriptions -- INBOX',
  ],
  ['for all users, in front of 2.3', desk, '--listener support --series 2.3 -- quota get -A'],
  ...ungranted.map(
    ([user, words]) =>
      [
        `denied, of ${user}: ${words}`,
        desk,
        `--listener support ${user && `--user ${user} `}-- ${words}`,
      ] as const,
  ),
  ['for all users, where the policy is not for everybody', desk, `* -- ${anyBut}`],
  ['for all users, where it excepts somebody', everybody, `* -- ${anyBut}`],
  ['the same in JSON', everybody, `* --json -- ${anyBut}`],
  ['of a user whom the policy excepts', desk, '--listener support --user CEO --', 'quota get'],
  ['denied by a rule', desk, '* --', 'mailbox delete', 'Old'],
  ['denied, and no rule is near', desk, '* -- sieve list'],
  ['on terms', desk, '* -- flags add \\Seen mailbox Trash savedbefore 40d'],
  ['under observe', desk, '--listener audit --user bob -- mailbox list'],
  ['a misspelt name', desk, '* -- mailbox lsit'],
  ['a surplus word', desk, '* --', 'quota get', 'more'],
  [
    'where the series differ',
    desk.replace('- quota get', '- fts flatcurve check'),
    '* -- fts flatcurve check INBOX',
  ],
  [
    'of one series',
    desk.replace('- quota get', '- fts flatcurve check'),
    '* --series 2.4 -- fts flatcurve check INBOX',
  ],
  [
    'no route, and who asks by the uid',
    desk.replace('"*@example.net"], backend', '"*@example.org"], backend'),
    `--listener support --uid ${myUid} --user bob@example.net -- quota get`,
  ],
  ['allowed for all users, in front of 2.3', ofAll, '--listener audit --series 2.3 -- quota get -A'],
  ['allowed for all users, with a text', ofAll, '--listener audit --series 2.4 -- save -A'],
  ['allowed for all users', ofAll, '--listener audit --series 2.4 -- quota get -A'],
  ['in JSON', desk, '* --json -- fetch uid all'],
  ['a listener that is not there', desk, '--listener suport -- who'],
  [
    'a broken configuration',
    desk.replace('quota get', 'quota gte').replace('tls: off', 'tls: of'),
    '--listener support -- who',
  ],
  ['no listener', desk, '-- who'],
  ['a series that is none', desk, '--listener support --series 2.5 -- who'],
  ['a uid that is none', desk, '--listener support --uid no-such-user -- who'],
  ['no command', desk, '--listener support'],
  ['the id of a denial', desk, id],
  ['the id of a denial as a command', desk, `--listener support -- ${id}`],
];

test('what is said, and the exit code', async (t) => {
  const answers: Asked[] = [];
  for (const [what, configuration, options = '', ...words] of questions) {
    const [last = '', ...before] = words.toReversed();
    const args = [
      ...options.replace('*', '--listener support --user bob').split(' '),
      ...before.toReversed(),
      ...last.split(' '),
    ];
    const { exit, text } = await openDesk(t, configuration).run(
      'explain',
      ...args.filter((word) => word !== ''),
    );
    answers.push([what, () => `${exit}\n${text.trimEnd().replaceAll(`${me}@`, 'ME@')}`]);
  }
  compareAnswers('test/rules/cli/explained.txt', answers);
  const help = await openDesk(t).run('explain', '--help');
  assert.equal(help.exit, 0);
  assert.match(help.text, /--series/);
});

test('a denial prints the lines to paste and what else they allow; pasted, they allow the command', async (t) => {
  for (const [user, words] of ungranted) {
    const who = user === '' ? [] : ['--user', user];
    const args = ['--listener', 'support', ...who, '--', ...words.split(' ')];
    const { run } = openDesk(t);
    const told = await run('explain', ...args);
    assert.equal(told.exit, 77, told.text);
    const json = JSON.parse((await run('explain', '--json', ...args)).stdout.toString());
    const grants: { into: string; lines: string[] }[] = json.to_allow ?? [];
    assert.equal(grants.length > 0, !words.includes('/etc/passwd'), words);
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
