// Goal: the backends as CSV: a line each, and nothing that a spreadsheet obeys. What the page shows live is tested by test/scenario/page-now.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBackends } from '../../src/daemon/page-now.js';
import type { BackendNow } from '../../src/domain/page/api.js';

const up: BackendNow = {
  name: 'mail1',
  address: 'mail1.example.com:24245',
  series: '2.4',
  isUp: true,
  health: 'up',
  since: '2026-11-21T02:14:00.000Z',
  connections: 10,
  dialing: 0,
  idle: 2,
  leased: 8,
  waiting: 3,
  oldestWaitMs: 1234,
  failed: { dial: 1, tls: 2, greeting: 3, authentication: 4, reply: 5 },
  certificateEnds: '2027-01-01T00:00:00.000Z',
  drained: [],
};

void test('one line each, after the names of the columns', () => {
  const down: BackendNow = {
    name: 'mail2',
    address: 'unix:/run/dovecot/doveadm-server',
    isUp: false,
    health: 'down',
    text: 'connection refused',
    connections: 10,
    dialing: 0,
    idle: 0,
    leased: 0,
    waiting: 0,
    oldestWaitMs: 0,
    failed: {},
    drained: [],
  };
  assert.equal(
    formatBackends([up, down]),
    [
      'backend,address,series,status,health,since,error,connections_max,dialing,idle,leased,waiting,oldest_wait_ms,failed_dial,failed_tls,failed_greeting,failed_authentication,failed_reply,certificate_ends,drained_by',
      'mail1,mail1.example.com:24245,2.4,UP,up,2026-11-21T02:14:00.000Z,,10,0,2,8,3,1234,1,2,3,4,5,2027-01-01T00:00:00.000Z,',
      'mail2,unix:/run/dovecot/doveadm-server,,DOWN,down,,connection refused,10,0,0,0,0,0,0,0,0,0,0,,',
      '',
    ].join('\r\n'),
  );
});

void test('names of operators command no spreadsheet and make no further cell', () => {
  const drained = ['=HYPERLINK("http://x"),2026-11-21', 'configuration'];
  const [, line = ''] = formatBackends([{ ...up, isUp: false, health: 'drained', drained }]).split('\r\n');
  assert.match(line, /,DRAIN,drained,/);
  assert.ok(line.endsWith(`,"'=HYPERLINK(""http://x""),2026-11-21; configuration"`), line);
  assert.equal(formatBackends([{ ...up, drained: ['a\r\nb'] }]).split('\r\n').length, 3);
});
