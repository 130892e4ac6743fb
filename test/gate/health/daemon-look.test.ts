// Goal: what the daemon says of itself becomes lines: not ready, without descriptors, receivers that are away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLate } from '../../../src/gate/cli/ask-status.js';
import { lookAtDaemon, type Told } from '../../../src/gate/health/daemon-look.js';
import { settingsOf, sound } from '../../rules/config/sound.js';

const settings = {
  ...settingsOf(`${sound}admin: { unix: /run/a.sock }\n`),
  unit: 'dovegate.service',
};
const commands = { start: 'START', reload: 'RELOAD', status: 'STATUS', check: 'CHECK' };
const good = { state: 'serving', version: '0.1.0', started: 'then', config: settings.hash, ready: true };
const said = (status: Readonly<Record<string, unknown>>, metrics = ''): string[] =>
  lookAtDaemon({ status: { ...good, ...status }, metrics }, settings, commands).map(
    (look) => `${look.status} ${look.name}: ${look.text}`,
  );

void test('serving, not ready, another configuration, none', () => {
  assert.deepEqual(said({})[0], 'ok daemon: dovegate 0.1.0, serving, started then');
  assert.match(
    said({ ready: false, reasons: [{ code: 'x', text: 'no backend is up' }] })[0] ?? '',
    /^bad daemon: .* is not ready: no backend is up/,
  );
  assert.match(said({ config: 'other' })[0] ?? '', /^warning daemon: .* another configuration/);
  const none: Told = { why: 'no daemon answers' };
  assert.deepEqual(
    lookAtDaemon(none, settings, commands).map(({ status, next }) => [status, next]),
    [['bad', 'START']],
  );
  const [unasked] = lookAtDaemon(none, settingsOf(sound), commands);
  assert.deepEqual([unasked?.status, unasked?.next], ['warning', 'CHECK']);
  const [denied] = lookAtDaemon({ why: 'permission denied', isDenied: true }, settings, commands);
  assert.deepEqual([denied?.status, denied?.next], ['warning', undefined]);
});

void test('a start that fails: its log, and the journal before another start', () => {
  const none: Told = { why: 'no daemon answers' };
  const [failing] = lookAtDaemon(none, settings, { ...commands, log: 'LOG' });
  assert.equal(failing?.next, 'LOG');
  assert.match(`${failing.text}; ${failing.todo}`, /dovegate\.service fails at each start; .*then START/);
  const [shut] = lookAtDaemon(none, { ...settings, isJournalShut: true }, { ...commands, log: 'LOG' });
  assert.deepEqual([shut?.status, shut?.next], ['bad', undefined]);
  assert.match(shut?.todo ?? '', /^repair the journal as below, then start it \(why it failed: LOG\)/);
});

void test('a daemon that runs and has lost its socket is restarted, not started', () => {
  const none: Told = { why: 'no daemon answers' };
  const all = { ...commands, restart: 'RESTART', remake: 'REMAKE' };
  const [silent] = lookAtDaemon(none, { ...settings, isRunning: true }, all);
  assert.deepEqual([silent?.status, silent?.next], ['bad', 'RESTART']);
  const [refusing] = lookAtDaemon(none, { ...settings, isRunning: true, refuses: 'no socket' }, all);
  assert.match(refusing?.text ?? '', /^dovegate\.service refuses all clients: no socket$/);
  const [gone] = lookAtDaemon(none, { ...settings, isRunning: true, isFolderGone: true }, all);
  assert.deepEqual([gone?.status, gone?.next], ['bad', 'REMAKE']);
  assert.match(gone?.text ?? '', /runs, and the folder of its sockets is gone/);
});

void test('right after a start the page and ship may not have asked yet; later that is a warning', () => {
  const told = (page?: object): Told => ({
    status: { started: '2026-11-26T10:00:00.000Z', ...(page === undefined ? {} : { page }) },
    metrics: '',
  });
  const startMs = Date.parse('2026-11-26T10:00:00.000Z');
  assert.ok(isLate(told({ connected: false }), startMs + 1_000));
  assert.ok(!isLate(told({ connected: true }), startMs + 1_000));
  assert.ok(!isLate(told({ connected: false }), startMs + 60_000));
  assert.ok(!isLate(told({ connected: false }), startMs - 60_000), 'the clock went back');
  assert.ok(!isLate(told(), startMs + 1_000), 'without a page');
  const started = '2026-11-26T10:00:00.000Z';
  assert.ok(isLate({ status: { started, ship: { connected: false } }, metrics: '' }, startMs + 1_000));
  assert.ok(!isLate({ why: 'no daemon answers' }, startMs));
});

void test('beside a file with errors: what runs, and never another start', () => {
  const broken = { ...settings, hash: undefined };
  const [serving] = lookAtDaemon({ status: { ...good, config: 'other' }, metrics: '' }, broken, commands);
  assert.equal(
    serving?.text,
    'dovegate 0.1.0, serving, started then, with the configuration that it read before',
  );
  assert.equal(serving?.status, 'ok');
  assert.equal(lookAtDaemon({ why: 'no daemon answers' }, broken, commands)[0]?.next, 'CHECK');
});

void test('descriptors by the metrics of the daemon', () => {
  const of = (open: number, most: number): string =>
    said({}, `process_open_fds ${open}\nprocess_max_fds ${most}\n`).at(-1) ?? '';
  assert.match(of(30, 65_536), /^ok descriptors: 65536 at most, 30 in use/);
  assert.match(of(95, 100), /^bad descriptors/);
  assert.match(of(30, 1024), /^warning descriptors: .* may want 1\d\d\d/);
});

void test('a receiver that is away', () => {
  const shipping = [
    { sink: 'logs:6514', state: 'away', fault: { code: 'x', text: 'nobody listens' } },
    { sink: 'more:6514', state: 'connected' },
    {
      sink: '/srv/trail/dovegate',
      state: 'forked',
      fault: { code: 'audit-forked', text: 'another record 7' },
    },
  ];
  assert.deepEqual(said({ shipping }).slice(1, 4), [
    'bad receiver logs:6514: nobody listens',
    'ok receiver more:6514: connected',
    'bad receiver /srv/trail/dovegate: another record 7',
  ]);
});

void test('a syslog receiver whose certificate ends', () => {
  const shipping = settingsOf(
    `${sound}admin: { unix: /run/a.sock }\naudit: { ship: [{ syslog: "logs.example.com:6514" }] }\n`,
  );
  const of = (seconds: number): string[] => {
    const metrics = `dovegate_certificate_expiry_seconds{role="receiver",name="logs.example.com:6514"} ${seconds}\n`;
    return lookAtDaemon({ status: { ...good, config: shipping.hash }, metrics }, shipping, commands)
      .filter(({ name }) => name.includes('logs'))
      .map(({ status, text }) => `${status} ${text}`);
  };
  assert.deepEqual(of(15 * 86_400), []);
  assert.deepEqual(of(13.5 * 86_400), ['warning the certificate of the server expires in 13 days']);
  assert.deepEqual(of(-1), ['warning the certificate of the server has expired']);
});
