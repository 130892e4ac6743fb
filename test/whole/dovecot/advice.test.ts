// Goal: what doctor advises about a real Dovecot is what helps: the other way of TLS, a socket beside Dovecot's own, the folder of
// a socket. What must not happen: advice that changes Dovecot's own socket, or a certificate that is right.

import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtProgram } from '../../kit/gate/daemon.js';
import { ends, runProgram } from '../../kit/plain/program.js';
import { backendPassword, onDovecot, openRealDovecot } from './real-gateway.js';

onDovecot('advice that helps', openRealDovecot, async (t, lab) => {
  const folder = mkdtempSync(join(lab.folder, 'advice-'));
  chmodSync(folder, 0o755);
  const file = join(folder, 'dovegate.yaml');
  writeFileSync(join(folder, 'password'), `${backendPassword}\n`, { mode: 0o600 });
  // Its owner is who would run the daemon.
  mkdirSync(join(folder, 'state'));
  for (const each of [join(folder, 'state'), join(folder, 'password')]) chownSync(each, 65_534, 65_534);
  const tcp = (port: number, tls: string): string =>
    `{ address: "localhost:${port}", tls: ${tls}, ca: ${lab.caFile}, password_file: password }`;
  writeFileSync(
    file,
    `version: 1
listeners: { support: { unix: gone/support.sock, mode: "0600", policy: support } }
backends:
  late: ${tcp(lab.port, 'implicit')}
  early: ${tcp(lab.tlsPort, 'starttls')}
  own: { address: "unix:${lab.unixPreauth}" }
routes: [{ users: [a], backend: late }, { users: [b], backend: early }, { users: [c], backend: own }]
policies: { support: { users: ["*"], allow: [quota get] } }
state: state
audit: { directory: state/audit, memory: off }
`,
  );
  const doctor = await runProgram(process.execPath, [builtProgram, 'doctor', '--config', file]);
  const about = (look: string): string =>
    new RegExp(`^bad +${look} .*$`, 'm').exec(doctor.text)?.[0] ?? doctor.text;
  await t.test('TLS from the first byte where STARTTLS is, and the other way round', () => {
    assert.match(about('backend late'), /; write tls: starttls$/);
    assert.match(about('backend early'), /; write tls: implicit$/);
  });
  await t.test("Dovecot's own socket stays its own", () => {
    assert.match(
      about('backend own'),
      /doveadm-server is Dovecot's own, .*; leave it as it is; give Dovecot another one/,
    );
    assert.match(about('backend own'), /unix_listener dovegate-doveadm \{ mode = 0600 user = nobody \}/);
    assert.match(about('backend own'), /and write address: unix:.*\/dovegate-doveadm$/);
  });
  await t.test('a socket in a folder that nobody makes: doctor and the start name it', async () => {
    const gone = join(folder, 'gone');
    const make = `install -d -o nobody -m 0755 ${gone}`;
    assert.ok(about('listener support').includes(`${gone}, the folder of `), doctor.text);
    assert.ok(doctor.text.includes(make), doctor.text);
    const launcher = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
    const serve = [builtProgram, 'serve', '--no-last', '--config', file];
    const started = await ends(78, runProgram('setpriv', [...launcher, ...serve]));
    assert.ok(
      started.text.includes(`${gone}, the folder of its socket, is not there. Run: ${make}`),
      started.text,
    );
  });
});
