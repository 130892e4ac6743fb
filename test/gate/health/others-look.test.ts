// Goal: doctor says who else uses doveadm, what each needs, and since when no client has connected past dovegate. What must not happen: it
// says that there was none where a restart began the count again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAtNeighbours } from '../../../src/gate/health/dovecot-look.js';
import { lookAtOthers } from '../../../src/gate/health/others-look.js';

const atMs = Date.parse('2026-11-20T12:00:00.000Z');
const before = { run: 'a', started: 10, dialled: 4, since: '2026-11-19T08:00:00.000Z' };

void test('growth less our own dials', () => {
  const look = (now: object, kept: typeof before | undefined = before) => {
    const { look: found, since } = lookAtOthers({ ...before, ...now }, kept, atMs);
    return [found.text, since];
  };
  assert.deepEqual(look({}), [
    'nobody came past dovegate since 2026-11-19T08:00:00.000Z (1 day 4 h); the old listener and its password may go',
    before.since,
  ]);
  assert.match(String(look({ started: 13, dialled: 7 })[0]), /^nobody came/);
  const [text, since] = look({ started: 13, dialled: 5 });
  assert.match(String(text), /^2 connections past dovegate since 2026-11-19T08/);
  assert.equal(since, '2026-11-20T12:00:00.000Z');
  for (const [now, kept] of [
    [{ run: 'b', started: 2 }, before],
    [{ started: 2 }, before],
    [{}, undefined],
  ] as const)
    assert.match(lookAtOthers({ ...before, ...now }, kept, atMs).look.text, / counted from now on$/);
});

void test('panels, replication and proxies, with what each needs', () => {
  const none = {
    series: '2.3' as const,
    ports: [],
    isApiKeySet: false,
    replica: '',
    proxyPort: '',
  };
  assert.deepEqual(lookAtNeighbours(none), []);
  const all = lookAtNeighbours({
    ...none,
    ports: [{ port: 8080, addresses: ['*'], isHttp: true }],
    isApiKeySet: true,
    replica: 'tcp:mail2.example.com',
    proxyPort: '24245',
  });
  assert.deepEqual(
    all.map(({ name, status }) => `${status} ${name}`),
    ['warning panel', 'warning replication', 'warning doveadm_port'],
  );
  assert.match(all[2]?.text ?? '', /"passdb lookup failed"/);
  assert.match(all[2]?.todo ?? '', /"idle: 0" and "max_lifetime: 1ms"$/);
  assert.doesNotMatch(
    lookAtNeighbours({ ...none, series: '2.4', proxyPort: '24245' })[0]?.todo ?? '',
    /idle/,
  );
  // The HTTP port cannot be used without a key.
  assert.deepEqual(
    lookAtNeighbours({ ...none, ports: [{ port: 8080, addresses: ['*'], isHttp: true }] }),
    [],
  );
});
