// Goal: what the daemon says of itself becomes lines: not ready, without descriptors, receivers that are away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLate } from '../../../src/gate/cli/ask-status.js';
import { lookAtDaemon, type Told } from '../../../src/gate/health/daemon-look.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { settingsOf, sound } from '../../rules/config/sound.js';

const settings = { ...settingsOf(`${sound}admin: { unix: /run/a.sock }\n`), unit: 'dovegate.service' };
const commands = { start: 'START', reload: 'RELOAD', status: 'STATUS', check: 'CHECK' };
const good = { state: 'serving', version: '0.1.0', started: 'then', config: settings.hash, ready: true };
const none: Told = { why: 'no daemon answers' };
const running = { ...settings, isRunning: true };
const broken = { ...settings, hash: undefined };
const fails = { ...commands, log: 'LOG' };
const all = { ...commands, restart: 'RESTART', remake: 'REMAKE' };
const told = (status: Readonly<Record<string, unknown>>, metrics = ''): Told => ({
  status: { ...good, ...status },
  metrics,
});
const descriptors = (open: number, most: number): Told =>
  told({}, `process_open_fds ${open}\nprocess_max_fds ${most}\n`);
const shipping = [
  { name: 'logs:6514', state: 'away', fault: { code: 'x', text: 'nobody listens' } },
  { name: 'more:6514', state: 'connected' },
  { name: '/srv/trail/dovegate', state: 'forked', fault: { code: 'audit-forked', text: 'another record 7' } },
];
const syslog = settingsOf(
  `${sound}admin: { unix: /run/a.sock }\naudit: { ship: [{ syslog: "logs.example.com:6514" }] }\n`,
);
const ending = (seconds: number): Told => {
  const labels = '{role="receiver",name="logs.example.com:6514"}';
  return told({ config: syslog.hash }, `dovegate_certificate_expiry_seconds${labels} ${seconds}\n`);
};

const fault = { code: 'timeout', for_ms: 90_000 };
const notices = [
  { name: 'chat', state: 'unknown' },
  { name: 'mail', state: 'delivering', delivered: 7 },
  { name: 'pager', state: 'away', fault },
  { name: 'web', state: 'away', fault: { ...fault, code: 'http-status', status: 500 } },
  { name: 'new', state: 'away', fault: { code: 'of-a-later-version' } },
];

type Look = Parameters<typeof lookAtDaemon>;
const looks: Readonly<Record<string, readonly [of: Look[0], settings?: Look[1], commands?: Look[2]]>> = {
  serving: [told({})],
  'not ready': [told({ ready: false, reasons: [{ code: 'x', text: 'no backend is up' }] })],
  'another configuration': [told({ config: 'other' })],
  'no daemon': [none],
  'no daemon, and no admin socket to ask it at': [none, settingsOf(sound)],
  'not for this user': [{ why: 'permission denied', isDenied: true }],
  'a start that fails: its log': [none, settings, fails],
  'and the journal before another start': [none, { ...settings, isJournalShut: true }, fails],
  'it runs and has lost its socket: restarted, not started': [none, running, all],
  'it runs and refuses all clients': [none, { ...running, refuses: 'no socket' }, all],
  'it runs, and the folder of its sockets is gone': [none, { ...running, isFolderGone: true }, all],
  'beside a file with errors: what runs': [told({ config: 'other' }), broken],
  'beside a file with errors: never another start': [none, broken],
  'enough descriptors': [descriptors(30, 65_536)],
  'nearly no descriptors': [descriptors(95, 100)],
  'it may want more descriptors': [descriptors(30, 1024)],
  'receivers that are away': [told({ shipping })],
  'a certificate of a receiver that holds for 15 days': [ending(15 * 86_400), syslog],
  'for 13 days': [ending(13.5 * 86_400), syslog],
  'and one that has expired': [ending(-1), syslog],
  'the page': [told({ page: { connected: true, version: '0.1.0', people: 2 } })],
  'the page has a problem': [told({ page: { connected: true, problem: 'no room for sessions' } })],
  'the page does not ask': [told({ page: { connected: false } })],
  'ship, and the receivers of notices': [told({ ship: { connected: true, notices } })],
  'ship has a problem': [
    told({ ship: { connected: true, problem: 'its state cannot be written', notices: [] } }),
  ],
  'ship does not ask': [told({ ship: { connected: false } })],
};

void test('what is said of a daemon, and what to do, as daemon-look.txt has it', () => {
  const asked = Object.entries(looks).map(([what, [of, expected = settings, known = commands]]): Asked => {
    const lines = lookAtDaemon(of, expected, known).map(({ status, name, text, todo, next }) =>
      [`${status} ${name}: ${text}`, todo && `; ${todo}`, next && ` > ${next}`].join(''),
    );
    return [what, () => lines.join('\n')];
  });
  compareAnswers('test/gate/health/daemon-look.txt', asked);
});

void test('right after a start the page and ship may not have asked yet; later that is a warning', () => {
  const started = '2026-11-26T10:00:00.000Z';
  const of = (page?: object): Told => ({ status: { started, ...(page && { page }) }, metrics: '' });
  const startMs = Date.parse(started);
  assert.ok(isLate(of({ connected: false }), startMs + 1_000));
  assert.ok(!isLate(of({ connected: true }), startMs + 1_000));
  assert.ok(!isLate(of({ connected: false }), startMs + 60_000));
  assert.ok(!isLate(of({ connected: false }), startMs - 60_000), 'the clock went back');
  assert.ok(!isLate(of(), startMs + 1_000), 'without a page');
  assert.ok(isLate({ status: { started, ship: { connected: false } }, metrics: '' }, startMs + 1_000));
  assert.ok(!isLate(none, startMs));
});
