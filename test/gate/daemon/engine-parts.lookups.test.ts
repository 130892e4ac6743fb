// Goal: what is shown of Dovecot's auth services is so now, over reloads too. Phases: a service fails and a reload comes; it answers again,
// fails in another way, or is not in the configuration any more. What must not happen: a service that is shown as failing after it
// answered, or that nothing asks any more; a recovery that no event tells; a table that is full.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfiguredContext, createExchangeContext } from '../../../src/gate/daemon/engine-parts.js';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import { createRedactor } from '../../../src/journal/records/redact.js';
import { nothingKnown } from '../../../src/rules/policy/route.js';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { scriptAuthService } from '../lookup/auth-service.js';

/** The contexts of one daemon under one configuration after the other. */
function openDaemon() {
  const engine = openMemoryEngine();
  const { clock } = engine;
  const { journal } = engine.context.exchanges();
  const service = scriptAuthService();
  const events: EngineEvent[] = [];
  const configure = (settings: string): ConfiguredContext =>
    createExchangeContext(openMemoryEngine({ settings }).settings, new Map(), {
      clock,
      connect: service.dialler.connect,
      journal,
      observe: (event) => void events.push(event),
      redactor: createRedactor('a key for tests only'),
      access: [],
    });
  /** Asks where a user lives, and answers where the service takes the question. */
  const ask = async ({ router }: ConfiguredContext, user: string, socket = '/run/auth'): Promise<void> => {
    const question = { kind: 'passdb', user, socket, cacheTtlMs: 60_000 } as const;
    const asked = router.ask([question], nothingKnown, { principal: 'x', origin: '' });
    await settle();
    if (service.dialler.open.length > 0) service.reply(-1, user, 'NOTFOUND');
    await asked;
  };
  return { clock, service, events, configure, ask };
}

const withAuth = (socket: string): string => `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 2 } }
routes: [{ users: ["*"], passdb: ${socket} }]
policies: { support: { users: ["*@example.org"], allow: [quota get] } }
`;

const kinds = (events: readonly EngineEvent[]): readonly string[] => events.map(({ kind }) => kind);

void test('a service that answers again after a reload: one event says so, and it is not shown as failing', async () => {
  const { clock, service, events, configure, ask } = openDaemon();
  const first = configure(withAuth('/run/auth'));
  service.dialler.setAnswer('refuse');
  const sinceMs = clock.wallMs();
  await ask(first, 'a@example.org');
  assert.deepEqual([...first.failingServices], [['/run/auth', { sinceMs, code: 'dial-refused' }]]);
  await clock.advance(10_000);
  const second = configure(withAuth('/run/auth'));
  first.retire(second);
  // Nothing has been heard of it since.
  assert.deepEqual([...second.failingServices], [['/run/auth', { sinceMs, code: 'dial-refused' }]]);
  await ask(second, 'a@example.org');
  assert.deepEqual(kinds(events), ['lookup-failing'], 'it still fails: told once');
  await clock.advance(10_000);
  service.dialler.setAnswer('accept');
  await ask(second, 'b@example.org');
  assert.deepEqual([...second.failingServices], []);
  assert.deepEqual(kinds(events), ['lookup-failing', 'lookup-working']);
});
