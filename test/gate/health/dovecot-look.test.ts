// Goal: doctor says where Dovecot serves doveadm past dovegate, and the line that ends it. What must not happen: a warning where only
// programs of the machine get there, or nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAtDovecotPorts } from '../../../src/gate/health/dovecot-look.js';
import { parseDoveconf } from '../../../src/rules/setup/doveconf.js';
import { settingsOf, sound } from '../../rules/config/sound.js';
import { printed } from '../begin/examples.js';

const settings = settingsOf(sound);
const looksAt = (text: string) =>
  lookAtDovecotPorts(parseDoveconf(text) ?? assert.fail(text), settings).map(
    ({ status, text: said, todo = '' }) => [status, said, todo].filter(Boolean).join(': '),
  );

for (const series of ['2.3', '2.4'])
  void test(`${series}: on loopback, everywhere, and without a port`, () => {
    const what = 'the Dovecot of this machine serves doveadm';
    const text = printed(series);
    const here = looksAt(text);
    assert.equal(here.length, 3);
    for (const each of here)
      assert.match(
        each,
        /^ok: .* at 127\.0\.0\.1:\d+, for programs of this machine that know doveadm_password$/,
      );
    const [first = '', , http = ''] = looksAt(text.replace(/^listen = .*\n/m, ''));
    assert.match(
      first,
      new RegExp(
        `^warning: ${what} at \\*:\\d+, \\[::\\]:\\d+: others who reach it and know doveadm_password get past dovegate: once no job uses it, take that inet_listener out`,
      ),
    );
    assert.match(http, new RegExp(`^warning: ${what} over HTTP at`));
    const refusing = looksAt(text.replace(/^(?:listen|doveadm_password) = .*\n/gm, ''));
    assert.match(refusing[0] ?? '', /^ok: .* refuses all: no password is set$/);
    assert.deepEqual(looksAt(printed(`${series}-debian`)), [`ok: ${what} at no TCP port`]);
  });

void test('a port that the gate itself uses is held to loopback', () => {
  const line = (series: string) =>
    looksAt(
      `# ${series}.1 (x): f\ndoveadm_password = # hidden\nservice doveadm {\n  inet_listener {\n    port = 24245\n  }\n}\n`,
    )[0] ?? '';
  assert.match(
    line('2.3'),
    /: write "address = 127\.0\.0\.1" into that inet_listener of service doveadm, then doveadm reload$/,
  );
  assert.match(line('2.4'), /: write "listen = 127\.0\.0\.1" into/);
});
