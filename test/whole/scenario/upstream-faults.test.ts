// Goal: a backend whose certificate went bad is reported with the cause, and the end of its certificate is measured. What else may be wrong
// with the way to a backend is tested in test/gate/pool (dial.greet) and test/host/net (tls-connect). What must not happen: a command on a
// connection whose certificate is not the right one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Issued, makeAuthority } from '../../kit/gate/certificates.js';
import { runDovegate } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { until } from '../../kit/plain/until.js';

const day = 24 * 3600 * 1000;
const otherAuthority = makeAuthority({ name: 'somebody else' });

test('a bad certificate after a good one: its end is measured, and status names the cause; a key that is not pinned', async (t) => {
  const { client, daemon, backend, authority, configuration } = await openGateway(t, {
    more: 'admin: { unix: admin.sock }',
  });
  const admin = { socketPath: daemon.path('admin.sock') };
  const expiry = /^dovegate_certificate_expiry_seconds\{role="backend",name="mail1"\} (\S+)$/m;
  const daysLeft = async (): Promise<number> =>
    Math.round((Number(expiry.exec((await askHttp(admin, '/metrics')).body)?.[1]) * 1000) / day);
  const one = await client();
  const ask = async (): Promise<string> => {
    return (await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status;
  };
  assert.equal(await ask(), '+');
  await until(async () => (await daysLeft()) === 30, 'the good certificate');
  const names = ['localhost'];
  const ends = (days: number): Date => new Date(Date.now() + days * day);
  const bads: readonly (readonly [Issued, number, RegExp])[] = [
    [
      authority.issue({ names, notAfter: ends(-2) }),
      -2,
      /^mail1 has been down .*: its certificate has expired\./m,
    ],
    [
      authority.issue({ names: ['mail9.example.org'], notAfter: ends(60) }),
      60,
      /^mail1 has been down .*: its certificate is for another name than server_name\./m,
    ],
    [
      otherAuthority.issue({ names, notAfter: ends(50) }),
      50,
      /^mail1 has been down .*: its certificate comes from an authority that is not trusted\./m,
    ],
  ];
  for (const [bad, days, cause] of bads) {
    backend.change({ certificate: bad });
    for (const connection of backend.live) connection.end();
    await until(async () => (await ask()) === '-TEMPFAIL' && (await daysLeft()) === days, `${days} days`);
    let shown = '';
    const isNamed = async (): Promise<boolean> => {
      ({ text: shown } = await runDovegate(['status', '--socket', admin.socketPath]));
      return cause.test(shown);
    };
    await until(isNamed, () => shown);
  }
  backend.change({ certificate: authority.issue({ names }) });
  await daemon.reload(configuration({ mail1: { key_pins: `["sha256:${'ab'.repeat(32)}"]` } }));
  const isOfPin = ({ event, text }: Readonly<Record<string, unknown>>): boolean =>
    event === 'dial-failed' && String(text).includes('key_pins');
  assert.equal(await ask(), '-TEMPFAIL');
  await daemon.waitForLog(isOfPin, 'a key that is not pinned');
});
