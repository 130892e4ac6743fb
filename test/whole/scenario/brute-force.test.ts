// Goal: guesses of passwords keep no honest login out and fill nothing. Phases: honest logins while nobody attacks; 200 wrong passwords at
// once from one address, and again and again from others, while honest ones log in: from elsewhere, from elsewhere with a success before,
// and from the guessers' own address with a success before; then the stop. What must not happen: an honest login that is delayed by more
// than a second, memory that grows with the guesses, a record or a log line for each, a guess or a password anywhere.
//
// A second is one of the clock, or as much work as the daemon can do in one: on a busy machine it gets less of each second. A slow
// machine needs longer for every hash: what 20 calm logins take is allowed there.
//
// With DOVEGATE_ROUNDS=10 each wave is 1,000 guesses, with TLS as well. 100 hashes are more than an honest login may wait for.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type TestContext, test } from 'node:test';
import { costMin, hashPassword } from '../../../src/rules/identity/credentials.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import type { Daemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { guess, logIn } from '../../kit/plain/guessers.js';

const password = 'four-words-that-nobody-guesses';
const wrongPassword = 'wrong-password-of-a-guesser';
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const guesses = Math.min(1000, 200 * rounds);
const processors = availableParallelism();
/** In each wave but the first, and with TLS. */
const laterGuesses = Math.min(guesses, 100 * rounds);

const rssOf = ({ pid }: Daemon): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** What it has had of the processors. */
const workMsOf = ({ pid }: Daemon): number => {
  // After the name in brackets: state, ten numbers, and the ticks of 10 ms.
  const [, , , , , , , , , , , user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(user) + Number(system)) * 10;
};

for (const isTls of [false, true]) {
  void test(`wrong passwords in parallel${isTls ? ', each in TLS,' : ''} do not delay an honest login by a second, and cost bounded memory`, (t) =>
    guessAndLogIn(t, isTls));
}

async function guessAndLogIn(t: TestContext, isTls: boolean): Promise<void> {
  const [port = 0] = await freePorts(1);
  const accounts = `{ migrator: { password_hash: "${await hashPassword(Buffer.from(password), costMin)}", policy: support } }`;
  const own = makeAuthority({ name: 'listener' }).issue({ names: ['127.0.0.1'] });
  const tls = isTls ? '{ mode: implicit, certificate: tls.crt, key: tls.key }' : '{ mode: off }';
  const { daemon } = await openGateway(t, {
    files: { 'tls.crt': own.certificatePem, 'tls.key': own.keyPem },
    listeners: `
  jobs: { tcp: "127.0.0.1:${port}", tls: ${tls}, sessions: 1200, sessions_per_peer: 1100, accounts: ${accounts} }`,
    // On a busy machine 1,000 handshakes take longer than the 5 s of one.
    more: 'admin: { unix: admin.sock }\nlimits: { handshake: 1m }',
  });
  const honestly = (from: string) => logIn({ port, from, user: 'migrator', password, isTls });
  /** How long it took; of the clock, or of the daemon's work if that is shorter. */
  const honest = async (from: string): Promise<number> => {
    const before = workMsOf(daemon);
    const { answer, ms } = await honestly(from);
    assert.equal(answer, '+\n', `the honest login from ${from}, after ${Math.round(ms)} ms`);
    return Math.round(Math.min(ms, (workMsOf(daemon) - before) / processors));
  };
  /** The same from a place that may be crowded out: it comes in when it tries again. */
  const stubborn = async (from: string): Promise<number> => {
    const sinceMs = performance.now();
    while ((await honestly(from)).answer !== '+\n');
    return Math.round(performance.now() - sinceMs);
  };

  const startMs = performance.now();
  const calmMs = Math.max(await honest('127.0.0.2'), await honest('127.0.0.1'));
  const before = rssOf(daemon);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, rssOf(daemon));
  }, 50);
  t.after(() => clearInterval(watch));

  // Each address that was not seen before gets one hash before honest ones can be told from it; and 64 wait.
  const fresh = 'many addresses';
  const waves: (readonly [string, (n: number) => { from: string; user: string }])[] = [
    ['one address, the honest account', () => ({ from: '127.0.0.1', user: 'migrator' })],
    ['one address, ever new names', (n) => ({ from: '127.0.0.1', user: `name${n}` })],
    [fresh, (n) => ({ from: `127.1.0.${1 + (n % 200)}`, user: n % 2 === 0 ? 'migrator' : 'root' })],
    ['the same ones again', (n) => ({ from: `127.1.0.${1 + (n % 200)}`, user: 'migrator' })],
  ];
  let delayMs = 0;
  const answers = new Map<string, number>();
  // What differs by where guessers come from does not differ by TLS again.
  const sent = isTls && rounds < 5 ? waves.slice(0, 1) : waves;
  let guessed = 0;
  for (const [round, [name, guesser]] of sent.entries()) {
    const count = round === 0 && !isTls ? guesses : laterGuesses;
    guessed += count;
    const { begun, answers: ended } = guess(
      Array.from({ length: count }, (_, n) => ({
        port,
        isTls,
        ...guesser(n),
        password: `${wrongPassword} ${n}`,
      })),
    );
    await begun;
    const stranger = name === fresh ? stubborn : honest;
    // From elsewhere, from elsewhere with a success before, from the guessers' own address with a success before.
    const times = await Promise.all([
      stranger(`127.0.1.${round + 1}`),
      honest('127.0.0.2'),
      honest('127.0.0.1'),
    ]);
    for (const { answer } of await ended) answers.set(answer, (answers.get(answer) ?? 0) + 1);
    const [elsewhere, known, beside] = times;
    t.diagnostic(
      `${name}: honest ${elsewhere} ms from elsewhere, ${known} ms from elsewhere with a success, ${beside} ms beside the guessers; calm ${calmMs} ms`,
    );
    const promised = name === fresh ? [known, beside] : times;
    delayMs = Math.max(delayMs, ...promised.map((ms) => ms - calmMs));
  }
  clearInterval(watch);
  t.diagnostic(
    `RSS ${before.toFixed(0)} MiB before, ${most.toFixed(0)} MiB at most, ${rssOf(daemon).toFixed(0)} MiB after`,
  );
  t.diagnostic(`answers: ${JSON.stringify([...answers])}`);
  // If the login waited for a hash of each guess, it would take a hundred times as long as in calm.
  assert.ok(delayMs <= Math.max(1000, 20 * calmMs), `delayed by ${delayMs} ms`);
  assert.ok(most - before < 192, `${most - before} MiB more`);
  assert.equal(answers.get('+\n'), undefined, 'no guess is right');

  await daemon.stop();
  const records = auditRecords(daemon);
  const opened = records.filter(({ session, peer }) => session !== undefined && peer !== undefined);
  assert.ok(opened.length > 0 && opened.every(({ principal }) => principal === 'migrator@jobs'));
  const limits = records.filter(({ event }) => event === 'limit');
  assert.ok(limits.some(({ action }) => action === 'login-failed'));
  const failed = daemon.logs.filter(({ event }) => event === 'login-failed').length;
  t.diagnostic(`${guessed} guesses: ${limits.length} limit records, ${failed} log lines`);
  const seconds = Math.ceil((performance.now() - startMs) / 1000) + 1;
  assert.ok(failed <= 10 * seconds, `${failed} lines of the log in ${seconds} s`);
  assert.ok(records.length <= 100 + 250 * seconds, `${records.length} records`);
  assert.deepEqual(daemon.grepSecrets([password, wrongPassword]), []);
}
