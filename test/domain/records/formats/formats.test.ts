// Records as OCSF, ECS and OpenTelemetry: every kind of record, and every row of a search, is valid there and says the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../../src/bounds/bounds.js';
import { createEcs, ecsVersion } from '../../../../src/domain/records/formats/ecs.js';
import { createOcsf, ocsfVersion } from '../../../../src/domain/records/formats/ocsf.js';
import { formatOtlp, otlpFrame } from '../../../../src/domain/records/formats/otlp.js';
import { createSearch, type ExchangeRow } from '../../../../src/domain/records/trail/search.js';
import { type FloodKind, floodKinds } from '../../../../src/gateway/outcome/events.js';
import { ecsFaults } from '../../../kit/ecs-fields.js';
import { ocsfFaults, publishedShapes, usedShapes } from '../../../kit/ocsf-schema.js';
import { otlpFaults } from '../../../kit/otlp-shape.js';
import { admission, completion, effects, everyKind, linesOf, outcomes } from '../../../kit/record-kinds.js';

type Fields = Readonly<Record<string, unknown>>;
interface Ocsf extends Fields {
  readonly activity_id: number;
  readonly status_id: number;
  readonly actor: { readonly user?: Fields; readonly app_name?: string };
  readonly src_endpoint: Fields;
  readonly metadata: Fields;
  readonly unmapped: Fields;
}
interface Ecs extends Fields {
  readonly event: Fields;
  readonly user?: Fields;
  readonly source?: Fields;
  readonly dovegate: Fields;
}

/** The rows of an export with everything that it finds, and each record for itself, whatever its event. */
function rowsOf(lines: readonly string[]): ExchangeRow[] {
  const search = createSearch({ kind: 'all' });
  const found = [...search.take(Buffer.from(lines.map((line) => `${line}\n`).join(''))), ...search.finish()];
  const alone = lines.map((line): ExchangeRow => {
    const { prev: _, hash: _h, seq, ...fields } = JSON.parse(line);
    return { fields, admittedSeq: seq, completedSeq: seq };
  });
  return [...found, ...alone];
}

const pairRow = (
  id: string,
  first: Parameters<typeof admission>[1] = {},
  end: Parameters<typeof admission>[1] = {},
): ExchangeRow => {
  const [row] = rowsOf(
    linesOf([
      admission(id, first),
      completion(id, { ...(first.command !== undefined && { command: first.command }), ...end }),
    ]),
  );
  assert.ok(row !== undefined);
  return row;
};
const ocsfOf = (row: ExchangeRow): Ocsf => JSON.parse(createOcsf()(row));
const ecsOf = (row: ExchangeRow): Ecs => JSON.parse(createEcs()(row));

const rows = rowsOf(linesOf());
const published = process.env['DOVEGATE_OCSF'];

void test('OCSF: every kind of record is a valid event of API Activity', () => {
  assert.ok(rows.length > 100);
  const schemas = [usedShapes, ...(published === undefined ? [] : [publishedShapes(published)])];
  const format = createOcsf();
  for (const row of rows) {
    const event: Ocsf = JSON.parse(format(row));
    for (const shapes of schemas) assert.deepEqual(ocsfFaults(shapes, event), [], JSON.stringify(event));
    assert.equal(event.metadata['version'], ocsfVersion);
  }
});

void test('OCSF: what is not of the schema is a fault', () => {
  const event = ocsfOf(pairRow('E1'));
  assert.deepEqual(ocsfFaults(usedShapes, event), []);
  const changes: readonly Fields[] = [
    { api: undefined },
    { src_endpoint: {} },
    { src_endpoint: { address: '::1' } },
    { actor: { session: undefined } },
    { activity_id: 5, type_uid: 600305 },
    { type_uid: 600399 },
    { time: '2026-11-20T08:22:34.123Z' },
    { resources: { name: 'anna' } },
    { peer: {} },
    { status_code: 1 },
  ];
  for (const change of changes)
    assert.notDeepEqual(ocsfFaults(usedShapes, { ...event, ...change }), [], JSON.stringify(change));
});

void test('OCSF: effects become activities, outcomes a status, and nothing is lost', () => {
  const ids = effects.map((effect) => ocsfOf(pairRow('E1', { effect })).activity_id);
  assert.deepEqual(ids, [2, 99, 3, 3, 4]);
  assert.equal(ocsfOf(pairRow('E1', { effect: 'write', command: 'mailbox create' })).activity_id, 1);
  const statuses = outcomes.map((outcome) => ocsfOf(pairRow('E1', {}, { outcome })).status_id);
  assert.deepEqual(statuses, [1, 2, 2, 2, 2, 2, 0, 0, 2]);
  const denied = ocsfOf(pairRow('E1', { decision: 'deny' }, { outcome: 'denied', denial: 'no-rule' }));
  assert.deepEqual([denied['action_id'], denied['disposition_id'], denied['status_code']], [2, 2, 'no-rule']);
  const row = pairRow('E1');
  const text = JSON.stringify(ocsfOf(row));
  for (const key of Object.keys(row.fields))
    if (
      !/^(?:time|seq|event|command|user|users|session|id|policy|version|decision|backend|status|error)$/.test(
        key,
      )
    )
      assert.ok(Object.hasOwn(ocsfOf(row).unmapped, key), key);
  assert.ok(text.includes('"operation":"quota get"'));
});

void test('what a lock, a hold or a limit stopped is denied, whatever the rules said of it', () => {
  const ends = [
    ...(['locked', 'held', 'over-limit', 'limits-full'] as const).map((error) => ({
      outcome: error.includes('limit') ? ('limited' as const) : ('denied' as const),
      error,
    })),
    { outcome: 'unparsable' as const },
  ];
  for (const end of ends) {
    const row = pairRow('E1', {}, { ...end, sent: false, backend: undefined });
    assert.equal(row.fields['decision'], 'allow');
    const event = ocsfOf(row);
    assert.deepEqual([event['action'], event['disposition'], event.status_id], ['Denied', 'Blocked', 2]);
    assert.equal(event.unmapped['decision'], 'allow');
    assert.deepEqual(ecsOf(row).event['type'], ['access', 'denied']);
    assert.equal(ecsOf(row).dovegate['decision'], 'allow');
  }
  for (const outcome of ['ok', 'failed', 'partly', 'timeout', 'unknown', 'aborted'] as const) {
    const row = pairRow('E1', {}, { outcome });
    assert.equal(ocsfOf(row)['action'], 'Allowed');
    assert.deepEqual(ecsOf(row).event['type'], ['access', 'allowed']);
    assert.ok(!Object.hasOwn(ocsfOf(row).unmapped, 'decision'));
  }
});

void test('counts of a flood: of what was refused or not sent a failure, of the rest not', () => {
  const wanted: Readonly<Record<FloodKind, string>> = {
    refused: 'failure',
    unsent: 'failure',
    'page-refused': 'failure',
    'turned-away': 'failure',
    'login-failed': 'failure',
    question: 'success',
    session: 'success',
  };
  for (const action of floodKinds) {
    const row = { fields: { event: 'limit', principal: 'bob@support', action, count: 15 } };
    assert.equal(ecsOf(row).event['outcome'], wanted[action], action);
    assert.equal(ocsfOf(row)['status'], wanted[action] === 'failure' ? 'Failure' : 'Success', action);
  }
});

void test('a peer at a UNIX socket has a name and an id, one over TCP an address; later commands of a session keep it', () => {
  const local = ocsfOf(pairRow('E1'));
  assert.deepEqual(local.src_endpoint, { name: 'bob', uid: '1001' });
  assert.deepEqual(local.actor.user, { name: 'bob', uid: '1001', domain: 'support' });
  const remote = pairRow('E2', { peer: { address: '192.0.2.7' } });
  assert.deepEqual(ocsfOf(remote).src_endpoint, { ip: '192.0.2.7' });
  assert.deepEqual(ecsOf(remote).source, { address: '192.0.2.7', ip: '192.0.2.7' });
  const later = pairRow('E3', { session: 'SE2', peer: undefined }, { session: 'SE2' });
  for (const format of [createOcsf(), createEcs()]) {
    format(remote);
    assert.ok(format(later).includes('192.0.2.7'));
    for (let at = 0; at < bounds.exportPeers; at += 1)
      format({ fields: { event: 'session-open', session: `T${at}`, peer: { uid: at } } });
    assert.ok(!format(later).includes('192.0.2.7'));
  }
  const [own] = rowsOf(linesOf(everyKind.filter(({ event }) => event === 'clock')));
  assert.ok(own !== undefined);
  assert.equal(ocsfOf(own).actor.app_name, 'dovegate');
});

void test('ECS: every kind of record is a valid event', () => {
  const format = createEcs();
  for (const row of rows) {
    const event: Ecs = JSON.parse(format(row));
    assert.deepEqual(ecsFaults(event), [], JSON.stringify(event));
  }
  const event = ecsOf(pairRow('E1', { effect: 'destroy', decision: 'deny' }, { outcome: 'denied' }));
  assert.deepEqual(event['ecs'], { version: ecsVersion });
  assert.deepEqual(event.event['type'], ['deletion', 'denied']);
  assert.equal(event.event['outcome'], 'failure');
  assert.equal(event.event['duration'], 2_250_000);
  for (const change of [
    { peer: 1 },
    { user: { uid: '1' } },
    { ecs: undefined },
    { related: { user: 'anna' } },
  ])
    assert.notDeepEqual(ecsFaults({ ...event, ...change }), [], JSON.stringify(change));
  assert.notDeepEqual(ecsFaults({ ...event, event: { ...event.event, category: ['email'] } }), []);
  assert.notDeepEqual(ecsFaults({ ...event, dovegate: { args: [{ hmac: 'x' }] } }), []);
});

void test('OpenTelemetry: every record is a valid log record, with its line as the body', () => {
  const [open, close] = otlpFrame('gate1', '0.1.0');
  const lines = linesOf();
  const request = JSON.parse(
    `${open}${lines.map((line) => formatOtlp(Buffer.from(line))).join(',')}${close}`,
  );
  assert.deepEqual(otlpFaults(request), []);
  const bodies = request.resourceLogs[0].scopeLogs[0].logRecords.map(
    ({ body }: { readonly body: { readonly stringValue: string } }) => body.stringValue,
  );
  assert.deepEqual(bodies, lines);
  assert.deepEqual(otlpFaults(JSON.parse(`${open}${formatOtlp(Buffer.from('no record'))}${close}`)), []);
});
