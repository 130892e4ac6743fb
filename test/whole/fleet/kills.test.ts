// Goal: whatever is killed, and whenever the network is cut, the stream of a real nats-server ends with every record of the journal, each
// once, byte for byte. Rounds, under load all the time: the server killed, the gate killed, the process that ships killed, server and gate
// killed at once, the cable between them pulled out. Then the gate catches up, and `audit fleet verify` says that the trail is complete.
// DOVEGATE_ROUNDS=17 makes the 100,000 records and 50 kills of the published figure, DOVEGATE_NATS="native trixie" on two releases.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { natsReleases, openNatsServer } from '../../kit/gate/nats.js';
import { openCable } from '../../kit/plain/cable.js';
import { until } from '../../kit/plain/until.js';
import { openAdministrator } from './administrator.js';
import { assertSameLines, openFleetGate } from './gate.js';
import { openVerifier } from './verifier.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
/** Answers between two events: two records each, so each of many rounds makes some 6,000. */
const answersEach = rounds > 1 ? 750 : 300;
const host = 'gate-1';

for (const release of natsReleases)
  test(`server, gate and network come and go (nats-server of ${release})`, {
    timeout: 300_000 + rounds * 300_000,
  }, async (t) => {
    const cable = await openCable(t);
    if ('skip' in cable) return t.skip(cable.skip);
    const { launcher, address } = cable;
    const nats = await openNatsServer(t, { gates: [host], release, launcher, address });
    if ('skip' in nats) return t.skip(nats.skip);
    const first = await openAdministrator(t, nats);
    await first.createStreams();
    await first.close();
    const beganMs = performance.now();
    const gate = await openFleetGate(t, nats, { host });
    gate.work();
    const counts = { server: 0, gate: 0, ship: 0, both: 0, cuts: 0 };
    /** Nothing is killed or cut that does not ship. */
    const ship = async (answers: number): Promise<void> => {
      await gate.untilAnswered(answers);
      await gate.untilShipped();
    };

    for (let round = 0; round < rounds; round += 1) {
      await ship(answersEach - 150);
      await nats.kill();
      counts.server += 1;
      // Commands run on without it.
      await gate.untilAnswered(150);
      await nats.start();

      await ship(answersEach);
      await pause(Math.random() * 200);
      await gate.kill();
      counts.gate += 1;
      await gate.start();

      await ship(answersEach);
      await pause(Math.random() * 200);
      await gate.killShip();
      counts.ship += 1;

      await ship(answersEach);
      await pause(Math.random() * 200);
      await Promise.all([nats.kill(), gate.kill()]);
      counts.both += 1;
      if (round % 2 === 0) await nats.start();
      await gate.start();
      if (round % 2 === 1) {
        await gate.untilAnswered(150);
        await nats.start();
      }

      await ship(answersEach - 150);
      await cable.pullOut();
      counts.cuts += 1;
      await gate.untilAnswered(150);
      // Short ones, that nobody notices, and long ones.
      if (round % 3 !== 2) await pause(Math.random() * 500);
      else await until(async () => (await gate.state()) === 'away', 'a cut that is noticed', 300_000);
      await cable.plugIn();
    }
    await gate.untilAnswered(100);
    await gate.rest();
    const caughtUpMs = await gate.catchUp();
    assert.deepEqual(await gate.stop(), { code: 0, signal: null });

    const administrator = await openAdministrator(t, nats);
    const messages = await administrator.readAll(`dovegate.audit.${host}.*`);
    const journal = gate.journal();
    assertSameLines(Buffer.concat(messages.map(({ bytes }) => bytes)), journal);
    const records = journal.toString('latin1').split('\n').length - 1;
    const verifier = openVerifier(t, {
      nats,
      hosts: { [host]: `{ key: "${gate.key}" }` },
      // The gate has stopped in order, and records of times without a server came late.
      more: 'drift: 1h',
    });
    const { exit, findings, document, text } = await verifier.verify();
    assert.deepEqual([exit, findings], [0, []], text);
    assert.ok(!gate.ship.output().includes('wrong-sequence'), gate.ship.output());
    assert.equal(document['records'], records, text);
    const { server, both, cuts } = counts;
    t.diagnostic(
      `nats-server ${nats.version}: ${records} records in ${messages.length} messages; SIGKILLs: ${server} of the server, ${counts.gate} of ` +
        `the gate, ${counts.ship} of dovegate ship, ${both} of server and gate; ${cuts} cuts; ${gate.answered} commands, ${gate.refused} refused; caught up in ${caughtUpMs} ms; ` +
        `${((performance.now() - beganMs) / 1000).toFixed(0)} s in all`,
    );
  });
