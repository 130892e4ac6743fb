// Goal: can lists what a listener may do as it stands in the file, each rule with its line, conditions and limits.
import { test } from 'node:test';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { deskConfiguration, openDesk, requestable } from '../../whole/cli/desk.js';

const unsendable = deskConfiguration.replace(
  /allow: \[quota get\]\n$/,
  'allow: [quota get, who, { command: backup, root_equivalent: true }, user, { command: purge, reason: required }]\n',
);

test('what a listener may do, in words and in JSON: can.txt, which a person approved', async (t) => {
  const asked: Asked[] = [];
  for (const [what, listener, configuration] of [
    ['rules, users, exceptions and limits', 'support', deskConfiguration],
    ['what observes', 'audit', deskConfiguration],
    ['what the real doveadm cannot send over a socket is marked', 'audit', unsendable],
    [
      'what is available on request stands apart, and so do the policies that it may approve',
      'support',
      requestable,
    ],
    ['an unknown listener', 'nobody', deskConfiguration],
    ['a broken configuration', 'support', 'version: 2'],
  ] as const)
    for (const flags of [[], ['--json']]) {
      const { run, folder } = openDesk(t, configuration);
      const { text, exit } = await run('can', '--listener', listener, ...flags);
      const said = text
        .replaceAll(folder, 'FOLDER')
        .replaceAll(/[0-9a-f]{64}/g, 'HASH')
        .trimEnd();
      asked.push([[what, ...flags].join(' '), () => `${exit}\n${said}`]);
    }
  compareAnswers('test/rules/cli/can.txt', asked);
});
