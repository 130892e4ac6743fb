import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfiguredServer, serverOfBackend } from '../../../src/gate/pool/dial.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';

const auto: ConfiguredServer = { series: 'auto', release: undefined, newer: 'reads' };

test('what a backend announces names its series', () => {
  const series = [0, 1, 2, 3, 4, 5].map((minor) => serverOfBackend(auto, minor).series);
  assert.deepEqual(series, ['2.3', '2.3', '2.3', '2.4', '2.4', '2.4']);
});

/** What is refused with this sentence. */
function refused(configured: Partial<ConfiguredServer>, minor: number | undefined, why: RegExp): void {
  assert.throws(
    () => serverOfBackend({ ...auto, ...configured }, minor),
    (fault) =>
      fault instanceof UpstreamFault && fault.code === 'version-unsupported' && why.test(fault.message),
  );
}

test('a configured series holds where nothing is announced, and must agree where something is', () => {
  assert.equal(serverOfBackend({ ...auto, series: '2.3' }, undefined).series, '2.3');
  assert.equal(serverOfBackend({ ...auto, series: '2.4' }, 3).series, '2.4');
  refused({ series: '2.4' }, 2, /^it is Dovecot 2\.3, but `series` says 2\.4$/);
  refused({ series: '2.3' }, 4, /^it is Dovecot 2\.4, but `series` says 2\.3$/);
  // Every Dovecot 2.4 names a version.
  refused({ series: '2.4' }, undefined, /names no version/);
  refused({}, undefined, /names no version/);
});

test('a configured release says what the minor leaves open, and must agree with it', () => {
  const releasesOf = (release: string | undefined, minor: number): string =>
    serverOfBackend({ ...auto, release }, minor).releases.join(' ');
  assert.equal(releasesOf(undefined, 3), '2.4.0 2.4.1 2.4.2 2.4.3 2.4.4');
  assert.equal(releasesOf('2.4.2', 3), '2.4.2');
  assert.equal(releasesOf('2.3.19.1', 2), '2.3.19');
  assert.equal(releasesOf('2.4.7', 4), '2.4.5');
  refused({ release: '2.4.5' }, 3, /^it announces minor 3, but `release` says 2\.4\.5, which announces 4$/);
  refused({ release: '2.3.21' }, 3, /^it is Dovecot 2\.4, but `release` says 2\.3$/);
});

test('a newer minor is served as far as `newer` permits', () => {
  for (const newer of ['reads', 'serve'] as const)
    for (const release of [undefined, '2.4.5'])
      assert.ok(serverOfBackend({ ...auto, newer, release }, 5).isNewer);
  assert.ok(!serverOfBackend({ ...auto, newer: 'refuse' }, 4).isNewer);
  refused({ newer: 'refuse' }, 5, /^it announces minor 5, newer than .* knows \(4\), and `newer` is refuse$/);
});
