// Goal: cells.yaml says what it means, with its defaults; everything that is wrong with it or with its keys is told with its place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { isOfCells, parseCells } from '../../../src/domain/config/parse-cells.js';
import { type FleetFiles, parseFleetSettings } from '../../../src/domain/config/parse-fleet.js';
import { makeSignKey } from '../../../src/domain/records/audit/ledger.js';

const [one, two, three] = [makeSignKey().key, makeSignKey().key, makeSignKey().key];
const files: FleetFiles = {
  readText: (file) => (file.endsWith('south.pub') ? `${two}\n${three}\n` : file.endsWith('.pub') ? one : 'x'),
  whyUnreadable: () => undefined,
  isMissing: () => false,
  whyUnsafe: () => undefined,
};
const path = '/etc/dovegate/cells.yaml';
const textsOf = (yaml: string, from = files): string[] =>
  parseCells(path, yaml, from).problems.map(({ path: at, message }) => `${at}: ${message}`);

void test('cells with their keys, directories and hosts', () => {
  const { settings, problems } = parseCells(
    path,
    [
      'root_every: 90m',
      'cells:',
      `  north: { key: ${three}, directory: /srv/cells/north, hosts: { gate1: { key: keys/gate1.pub }, gate2: } }`,
      '  south: { key: south.pub, directory: south, from_root: 12 }',
    ].join('\n'),
    { ...files, readText: (file) => (file.endsWith('south.pub') ? `${one}\n${two}\n` : one) },
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(settings, {
    rootEveryMs: 5_400_000,
    cells: [
      {
        name: 'north',
        keys: [three],
        directory: '/srv/cells/north',
        fromRoot: 1,
        hosts: new Map([
          ['gate1', one],
          ['gate2', undefined],
        ]),
      },
      { name: 'south', keys: [one, two], directory: '/etc/dovegate/south', fromRoot: 12, hosts: undefined },
    ],
  });
  assert.equal(
    parseCells(path, `cells: { a: { key: ${one}, directory: a } }`, files).settings?.rootEveryMs,
    7_200_000,
  );
});

// bounds.fleetCells
void test('what is wrong is told', () => {
  assert.match(textsOf('root_every: 1h\n').join(), /must be a map from cells/);
  assert.match(textsOf('cells: {}\n').join(), /must list at least one cell/);
  assert.match(textsOf(`cells: { a.b: { key: ${one}, directory: a } }`).join(), /a cell is one word/);
  assert.match(textsOf(`cells: { a: { key: ${one} } }`).join(), /directory.*is missing/);
  assert.match(textsOf(`cells: { a: { key: x.pem, directory: a } }`).join(), /must hold Ed25519 public keys/);
  assert.match(
    textsOf(`cells: { a: { key: ${one}, directory: a }, b: { key: ${one}, directory: b } }`).join(),
    /is a key of a too/,
  );
  assert.match(
    textsOf(`cells: { a: { key: ${one}, directory: a, hosts: { 'x y': } } }`).join(),
    /a host is one word/,
  );
  assert.match(
    textsOf(`cells: { a: { key: ${one}, directory: a } }`, {
      ...files,
      whyUnsafe: (file) => ({ text: `${file} can be changed`, isDoubtful: false }),
    }).join(),
    /cells\.yaml can be changed/,
  );
  const many = (count: number): string =>
    JSON.stringify({
      cells: Object.fromEntries(
        Array.from({ length: count }, (_, at) => [`c${at}`, { key: makeSignKey().key, directory: `c${at}` }]),
      ),
    });
  assert.deepEqual(textsOf(many(bounds.fleetCells)), []);
  assert.match(textsOf(many(bounds.fleetCells + 1)).join(), /at most 1000 cells/);
});

// bounds.fleetHosts
void test('a fleet has the name of its cell, and as many hosts as one cluster carries', () => {
  const fleet = (count: number, cell: unknown = 'north'): string =>
    JSON.stringify({
      cell,
      nats: 'tls://a:4222',
      hosts: Object.fromEntries(Array.from({ length: count }, (_, at) => [`h${at}`, {}])),
    });
  const parse = (text: string) => parseFleetSettings('/etc/dovegate/fleet.yaml', text, files);
  const { settings, problems } = parse(fleet(bounds.fleetHosts));
  assert.deepEqual([settings?.cell, problems], ['north', []]);
  assert.match(
    parse(fleet(bounds.fleetHosts + 1)).problems[0]?.message ?? '',
    /at most 1000 hosts.*another cell/,
  );
  assert.match(parse(fleet(1, 'two words')).problems[0]?.message ?? '', /must be one word/);
  assert.ok(!isOfCells(path, fleet(1)));
  assert.ok(isOfCells(path, `# cells of all\ncells:\n  north: { key: ${one}, directory: a }\n`));
  assert.ok(isOfCells(path, '{"root_every":"1h","cells":{}}'));
  assert.ok(!isOfCells(path, 'cells: ['), 'no YAML: read as fleet.yaml, which says so');
});
