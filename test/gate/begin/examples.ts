// What the tests of `init` begin with: what a Dovecot prints of itself, and a whole set of answers.

import { readFileSync } from 'node:fs';
import type { Answers, UnixBackend } from '../../../src/gate/begin/draft.js';
import { projectRoot } from '../../kit/plain/root.js';

/** Printed by `doveconf -n` of that release; the names of the machine are taken out. */
export const printed = (name: string): string =>
  readFileSync(new URL(`test/gate/begin/doveconf-${name}.txt`, projectRoot), 'utf8');

export const local = {
  name: 'mail1',
  users: ['*'],
  kind: 'unix',
  path: '/run/dovecot/dovegate-doveadm',
  listenerName: 'dovegate-doveadm',
  series: '2.3',
  sharedNamespaces: [],
  nameCase: 'fold',
  isReady: false,
} as const satisfies UnixBackend;

export const answers: Answers = {
  directory: '/etc/dovegate',
  backends: [local],
  teams: [{ team: 'support', users: ['root', 'anna'], groups: [] }],
  preset: 'support-desk',
  parameters: new Map(),
  mailUsers: ['*@example.com'],
  journal: '/var/lib/dovegate/audit',
  stateDirectory: '/var/lib/dovegate',
  runDirectory: '/run/dovegate',
  daemonUser: 'dovegate',
};
