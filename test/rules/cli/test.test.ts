// Goal: the policy tests of a configuration are run; what fails is told with its line and why; --coverage tells idle rules.
import { test } from 'node:test';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { deskConfiguration, openDesk, requestable } from '../../whole/cli/desk.js';

const tests = `tests:
  - { listener: support, user: bob, command: [quota, get], expect: allow }
  - { listener: support, user: ceo, command: [quota, get], expect: allow }
  - { listener: support, user: bob, command: [mailbox, list, -s], expect: deny }
  - { listener: support, user: bob, command: [fts flatcurve check, INBOX], expect: allow }
  - { listener: support, user: bob, command: [mailbox, delete, Old], expect: deny }
`;

const onRequest = `tests:
  - { listener: support, user: bob, command: [mailbox, list], expect: request }
  - { listener: support, user: bob, command: [mailbox, list], granted: true, expect: allow }
  - { listener: support, user: bob, command: [mailbox, list], expect: allow }
  - { listener: support, user: bob, command: [quota, get], expect: request }
`;
const peers = 'policies: [{ peers: { users: [anna], groups: [desk] }, policy: support }]';
const ofPeers = `tests:
  - { listener: support, as: { user: eve }, user: bob, command: [quota, get], expect: allow }
  - { listener: support, as: { user: dan, groups: [mail, web] }, user: bob, command: [quota, get], expect: request }
  - { listener: support, as: { user: anna }, user: bob, command: [quota, get], expect: allow }
`;
const passing = tests.split('\n').filter((_, at) => ![2, 3, 4].includes(at));

test('what the tests of a configuration say: test.txt, which a person approved', async (t) => {
  const asked: Asked[] = [];
  for (const [what, configuration] of [
    ['failures, with their lines and what was said instead', deskConfiguration + tests],
    ['what is available on request, and what a grant allows', requestable + onRequest],
    [
      'somebody whom no peers let in',
      deskConfiguration.replace('unix: support.sock, policy: support', `unix: support.sock, ${peers}`) +
        ofPeers,
    ],
    ['tests that pass', deskConfiguration + passing.join('\n')],
    ['no tests', deskConfiguration],
    ['a broken configuration', 'version: 2'],
  ] as const)
    for (const flags of [[], ['--coverage']]) {
      const { text, exit } = await openDesk(t, configuration).run('test', ...flags);
      asked.push([[what, ...flags].join(' '), () => `${exit}\n${text.trimEnd()}`]);
    }
  compareAnswers('test/rules/cli/test.txt', asked);
});
