// Goal: a scraper on another machine gets the metrics over TLS with the token, and nobody gets anything without. Phases: wrong ways in; the
// right one; a new certificate; a reload that takes the setting away. What must not happen: an answer in clear, a metric without the token,
// the token in anything that the daemon wrote. Strangers who hold connections are those of admin-flood.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:https';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp, type Got } from '../../kit/plain/ask-http.js';
import { freePorts } from '../../kit/plain/free-ports.js';

const token = 'a-token-that-nobody-guesses';
const authority = makeAuthority({ name: 'authority of the scraper' });
const issued = () => authority.issue({ names: ['localhost', '127.0.0.1', 'gate.example.com'] });

async function open(t: TestContext) {
  const [port = 0] = await freePorts(1);
  const { certificatePem, keyPem } = issued();
  const more = `admin: { unix: admin.sock, tcp: "0.0.0.0:${port}", tls: { certificate: a.crt, key: a.key }, token_file: token }`;
  const gateway = await openGateway(t, {
    more,
    files: { 'a.crt': certificatePem, 'a.key': keyPem, token: `${token}\n` },
  });
  const ask = (path: string, given: string | undefined, method = 'GET'): Promise<Got> =>
    new Promise((resolve, reject) => {
      const headers = {
        Host: 'gate.example.com:9146',
        ...(given !== undefined && { Authorization: `Bearer ${given}` }),
      };
      const place = { host: '127.0.0.1', port, ca: authority.certificatePem, agent: false };
      const asked = request({ ...place, path, method, headers }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      asked.on('error', reject).end();
    });
  return { ...gateway, port, more, ask };
}

test('metrics over TLS with the token; nothing without, and wrong tokens are paced', {
  timeout: 300_000,
}, async (t) => {
  const { daemon, port, ask } = await open(t);
  await assert.rejects(askHttp({ host: '127.0.0.1', port }, '/metrics'), 'in clear nothing is answered');
  for (const path of ['/metrics', '/healthz', '/readyz', '/status.json', '/nothing']) {
    assert.equal((await ask(path, undefined)).status, 401, path);
    assert.equal((await ask(path, `${token}x`)).status, 401, path);
  }
  // At once: of ten the answers are 401, and of one more in each second.
  const guesses = await Promise.all([
    ...Array.from({ length: 20 }, () => ask('/metrics', 'guess')),
    ...Array.from({ length: 20 }, () => ask('/reload', 'guess', 'POST')),
  ]);
  const refused = guesses.filter(({ status }) => status === 401).length;
  assert.equal(guesses.filter(({ status }) => status === 429).length, guesses.length - refused);
  assert.ok(refused < guesses.length, 'guesses are paced');
  const right = await ask('/metrics', token);
  assert.equal(right.status, 200);
  assert.match(right.body, /^dovegate_certificate_expiry_seconds\{role="listener",name="\(admin\)"\} \d+$/m);
  assert.equal((await ask('/kill/X', token, 'GET')).status, 405);
  assert.equal((await ask('/backend/mail1/drain', token, 'POST')).status, 200);
  await daemon.stop();
  const told = daemon.logs.filter(({ event, type }) => event === 'login-failed' && type === 'token');
  assert.equal(told.length, 10 + refused);
  assert.deepEqual(
    auditRecords(daemon).flatMap((each) =>
      each['event'] === 'operator' && each['outcome'] === 'ok' ? [[each['action'], each['by']]] : [],
    ),
    [['drain', 'token']],
  );
  assert.deepEqual(daemon.grepSecrets([token]), []);
});

test('a new certificate is shown; without the setting the last one is, until a restart', {
  timeout: 300_000,
}, async (t) => {
  const { daemon, port, more, ask, configuration } = await open(t);
  const shown = async (): Promise<string> => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ca: authority.certificatePem,
      servername: 'localhost',
    });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const first = await shown();
  const { certificatePem, keyPem } = issued();
  daemon.write('a.crt', certificatePem);
  daemon.write('a.key', keyPem);
  const reload = () => runWarm(['reload', '--socket', daemon.path('admin.sock')]);
  assert.equal((await reload()).exit, 0);
  const second = await shown();
  assert.notEqual(second, first);
  daemon.write('dovegate.yaml', configuration({ more: more.replace(/, tcp: .*/, ' }') }));
  const taken = await reload();
  assert.match(taken.text, /admin\.tcp: changed, and read only at a start/);
  assert.equal(await shown(), second);
  assert.equal((await ask('/metrics', token)).status, 200);
  await daemon.stop();
});
