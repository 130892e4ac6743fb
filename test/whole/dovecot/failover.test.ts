// Goal: two gates before one Dovecot, and a client that tries the other one, as with two addresses of one name: a gate that is stopped or
// killed costs a pause, and nothing else.
// Phases of each failover: the client makes mailboxes without a pause at the gate that it is connected to; that gate ends, SIGTERM and
// SIGKILL in turn; the client dials the other; the gate that ended starts again. A change whose answer never came is not sent again: the
// client looks first.
// What must not happen: an acknowledged mailbox that is not there, one made by two commands, an admission that stays without its end.
// DOVEGATE_ROUNDS=10 makes the 20 failovers of the published figure.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { CommandFailed, connect, type Session, SessionFault } from '../../../src/client/connect.js';
import { onDovecot, openRealDovecot, openRealGateway, type RealGateway, victim } from './real-gateway.js';

const failovers = 2 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const allow = ['mailbox create'];

/** Works until it is ended, at whichever gate answers. */
function startClient(gates: readonly RealGateway[]) {
  const made: string[] = [];
  /** Changes whose answer never came. */
  const open: string[] = [];
  let at = 0;
  let session: Session | undefined;
  const over = new AbortController();

  const make = async (name: string): Promise<void> => {
    const socket = gates[at]?.daemon.path('support.sock') ?? '';
    session ??= await connect({ socket });
    await session.run({ user: victim, name: 'mailbox create', args: ['--', name] });
  };
  const turn = async (): Promise<void> => {
    await session?.close();
    session = undefined;
    at = 1 - at;
    await pause(50);
  };
  /** Only what cannot have run is sent again. */
  const change = async (name: string): Promise<void> => {
    for (;;) {
      const wasOpen = session !== undefined;
      try {
        await make(name);
        return void made.push(name);
      } catch (fault) {
        if (!(fault instanceof CommandFailed || fault instanceof SessionFault)) throw fault;
        const isDial = fault instanceof SessionFault && !wasOpen && session === undefined;
        const isRefused = fault instanceof CommandFailed && fault.mayRetry;
        await turn();
        if (!isDial && !isRefused) break;
      }
    }
    open.push(name);
  };
  const work = (async () => {
    for (let number = 1; !over.signal.aborted; number += 1) await change(`box-${number}`);
    await session?.close();
  })();
  return {
    made,
    open,
    get at() {
      return at;
    },
    async end(): Promise<void> {
      over.abort();
      await work;
    },
  };
}

onDovecot('two gates, of which one ends', openRealDovecot, async (t, lab) => {
  const gates = [await openRealGateway(t, lab, { allow }), await openRealGateway(t, lab, { allow })];
  const client = startClient(gates);
  const goOn = async (what: string): Promise<number> => {
    const before = client.made.length;
    const startMs = performance.now();
    while (client.made.length === before) {
      assert.ok(performance.now() - startMs < 60_000, what);
      await pause(1);
    }
    return performance.now() - startMs;
  };
  const pausesMs: number[] = [];
  for (let number = 0; number < failovers; number += 1) {
    await goOn('work before the failover');
    const { at } = client;
    const gate = gates[at];
    assert.ok(gate !== undefined);
    const { folder } = gate.daemon;
    const gone = number % 2 === 0 ? gate.daemon.stop() : gate.daemon.kill();
    const startMs = performance.now();
    const before = client.made.length;
    while (client.at === at || client.made.length === before) {
      assert.ok(performance.now() - startMs < 60_000, 'the other gate answers');
      await pause(1);
    }
    pausesMs.push(performance.now() - startMs);
    await gone;
    gates[at] = await openRealGateway(t, lab, { allow, folder });
  }
  await client.end();

  const { exit, stdout, text } = await lab.doveadm(['mailbox', 'list', '-u', victim]);
  assert.equal(exit, 0, text);
  const there = new Set(stdout.toString().split('\n'));
  const lost = client.made.filter((name) => !there.has(name));
  assert.deepEqual(lost, [], 'acknowledged, and not there');
  const commands: string[] = [];
  for (const gate of gates) {
    const records = await gate.finish();
    for (const record of records) if (record['event'] === 'admission') commands.push(JSON.stringify(record));
  }
  const names = [...client.made, ...client.open];
  for (const name of names) {
    const times = commands.filter((command) => command.includes(`"${name}"`)).length;
    assert.ok(times <= 1, `${name} was admitted ${times} times`);
  }
  t.diagnostic(
    `${failovers} failovers, ${client.made.length} mailboxes made, ${client.open.length} open, of which ` +
      `${client.open.filter((name) => there.has(name)).length} are there; pauses of ${Math.round(Math.min(...pausesMs))} to ` +
      `${Math.round(Math.max(...pausesMs))} ms`,
  );
});
