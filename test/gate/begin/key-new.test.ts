// Goal: a key for a program, and lines that a configuration takes as they are. What must not happen: a key that is shown twice, or made
// with terms that no configuration takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { hashKey, isKey } from '../../../src/rules/keys/key.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { memoryFiles, sound } from '../../rules/config/sound.js';

async function run(args: readonly string[]) {
  const ended = await runWarm(['key', 'new', ...args]);
  return { stdout: ended.stdout.toString(), stderr: ended.stderr, exit: ended.exit };
}

/** The keys of a configuration with these lines of YAML. */
function keysOf(yaml: string) {
  const panel = `  panel:\n    tcp: "0.0.0.0:8443"\n    protocol: http\n    tls: { certificate: c, key: k }\n    keys:\n      ${yaml}\nbackends:`;
  const file = '/etc/dovegate/d.yaml';
  const { settings, problems } = parseSettings(
    file,
    memoryFiles({ [file]: sound.replace('backends:', panel) }),
    {
      nowMs: Date.now(),
    },
  );
  assert.deepEqual(problems, []);
  return settings?.listeners[1]?.keys ?? [];
}

const dayMs = 86_400_000;

void test('the key, once, and its lines; both hold for a year', async () => {
  const { stdout, stderr, exit } = await run(['modoboa', '--policy', 'support']);
  assert.equal(exit, 0, stderr);
  const [key = '', yaml = '', ...rest] = stdout.split('\n');
  assert.deepEqual(rest, ['']);
  assert.ok(isKey(key), key);
  assert.ok(!(yaml + stderr).includes(key.slice(13, 30)));
  const [made] = keysOf(yaml);
  assert.deepEqual(
    [made?.name, made?.policy, made?.hashes[0]?.sha256, made?.from],
    ['modoboa', 'support', hashKey(key).slice(7), []],
  );
  const days = ((made?.expiresMs ?? 0) - Date.now()) / dayMs;
  assert.ok(days > 365 && days <= 366, String(days));
  const again = await run(['modoboa']);
  assert.notEqual(again.stdout.split('\n')[0], key);
});

void test('all terms, as YAML and as JSON', async () => {
  const terms = [
    '--policy',
    'support',
    '--expires',
    '2126-06-30',
    '--from',
    '192.0.2.20/32',
    '--from',
    '2001:db8::/32',
  ];
  const { stdout } = await run([...terms, 'graph']);
  const [, yaml = ''] = stdout.split('\n');
  assert.match(
    yaml,
    /^graph: \{ hash: "sha256\$[0-9a-f]{64}", policy: support, expires: 2126-06-30, from: \["192.0.2.20\/32", "2001:db8::\/32"\] \}$/,
  );
  const { stdout: json, stderr } = await run([...terms, 'graph', '--json']);
  const made = JSON.parse(json);
  assert.equal(made.hash, hashKey(made.key));
  assert.deepEqual(
    [made.name, made.policy, made.expires, made.from],
    ['graph', 'support', '2126-06-30', ['192.0.2.20/32', '2001:db8::/32']],
  );
  assert.equal(stderr, '');
  const never = JSON.parse((await run(['graph', '--json', '--expires', 'never'])).stdout);
  assert.deepEqual(Object.keys(never), ['name', 'key', 'hash', 'policy']);
});

for (const [args, expected] of [
  [['a b'], /^a name of a key is 1 to 64 letters, .*; "a b" is not\n$/],
  [['a', '--policy', '-x y'], /^a name of a policy is 1 to 64/],
  [
    ['a', '--expires', 'soon'],
    /^--expires "soon" is no day or time: 2027-06-30, 2027-06-30T18:00:00Z, or never\n$/,
  ],
  [['a', '--expires', '2027-02-30'], /is no day or time/],
  [['a', '--expires', '2020-01-01'], /^--expires 2020-01-01 is in the past\n$/],
  [['a', '--from', '192.0.2.1/24'], /^--from "192.0.2.1\/24" has bits set beyond its length/],
  [['a', '--from', 'panel.example.com'], /^--from "panel.example.com" is no address or network/],
  [[], /missing required argument 'name'/],
  [['a', 'b'], /too many arguments/],
] as const) {
  void test(`refused: ${JSON.stringify(args)}`, async () => {
    const { stdout, stderr, exit } = await run(args);
    assert.deepEqual([exit, stdout], [64, '']);
    assert.match(stderr, expected);
  });
}
