// Goal: the commands that are left to type, each whole, for each kind of machine.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answers } from '../../../src/gate/begin/draft.js';
import { nextSteps } from '../../../src/gate/begin/next-steps.js';
import { answers, local } from './examples.js';

const situation = {
  configuration: '/etc/dovegate/dovegate.yaml',
  isRoot: true,
  hasSnippet: true,
  mailUser: 'bob@example.com',
  isReplaced: false,
};

void test('on a host with Dovecot and systemd', () => {
  assert.deepEqual(
    nextSteps(answers, situation, () => true),
    [
      'cp /etc/dovegate/dovecot-snippet.conf /etc/dovecot/conf.d/99-dovegate.conf && doveadm reload',
      'systemctl enable --now dovegate.service',
      'dovegate doctor',
      'runuser -u anna -- doveadm mailbox list -u bob@example.com -S /run/dovegate/support.sock',
    ],
  );
});

void test('without systemd, with a place of its own, for a Dovecot that listens already', () => {
  const own: Answers = {
    ...answers,
    directory: '/srv/gate',
    runDirectory: '/srv/gate/run',
    teams: [{ team: 'support', users: ['root'], groups: [] }],
  };
  const more = {
    ...situation,
    configuration: '/srv/gate/dovegate.yaml',
    hasSnippet: false,
    mailUser: undefined,
  };
  assert.deepEqual(
    nextSteps(own, more, () => false),
    [
      'runuser -u dovegate -- dovegate serve --config /srv/gate/dovegate.yaml',
      'dovegate doctor --config /srv/gate/dovegate.yaml',
      'dovegate can --socket /srv/gate/run/support.sock',
    ],
  );
  assert.equal(
    nextSteps(own, { ...more, isRoot: false, hasSnippet: true }, () => true)[0],
    'put the lines of /srv/gate/dovecot-snippet.conf into the configuration of Dovecot, and run there: doveadm reload',
  );
});

void test('a second time, the daemon that runs takes the new file; Dovecots elsewhere are named', () => {
  const tcp = { kind: 'tcp', port: 24_245, tls: 'starttls', caFile: undefined, password: undefined } as const;
  const place = (host: string) => ({ ...local, ...tcp, host, serverName: host, passwordFile: 'x' });
  const remote = { ...answers, backends: [place('a.example'), place('b.example')] };
  const steps = nextSteps(remote, { ...situation, isReplaced: true }, () => true);
  assert.deepEqual(steps.slice(0, 2), [
    'put the lines of /etc/dovegate/dovecot-snippet.conf into the configuration of Dovecot on a.example and b.example, and run there: doveadm reload',
    'systemctl enable dovegate.service && systemctl restart dovegate.service',
  ]);
});

void test('names of a directory service stand as they would be typed', () => {
  const named: Answers = {
    ...answers,
    teams: [{ team: 'support', users: ['root', 'CORP\\anna'], groups: [] }],
    daemonUser: 'CORP\\gate',
  };
  const steps = nextSteps(named, situation, () => false);
  assert.ok(
    steps.some((step) => step.startsWith("runuser -u 'CORP\\gate' -- dovegate serve")),
    steps.join('\n'),
  );
  assert.ok(
    steps.some((step) => step.startsWith("runuser -u 'CORP\\anna' -- doveadm ")),
    steps.join('\n'),
  );
});
