// Goal: no shipped preset gives what none may, on a real server. Lines that a preset allows, found by a seeded search, are sent as the
// daemon would send them, and what they show, change, reach and kill is looked at.
// What must not happen: a process of the server ends; a secret, the environment or a file of the server is shown; a user for whom the
// policy does not hold is shown, changed or reached.
//
// DOVEGATE_RELEASES="native trixie" says which Dovecots; DOVEGATE_ROUNDS multiplies the lines, DOVEGATE_MINUTES=N goes on for that time
// on each of them instead; DOVEGATE_SEED repeats a run.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { commandNamed } from '../../../src/doveadm/commands/catalog.js';
import { inputOf } from '../../../src/doveadm/commands/parse.js';
import { encodeCommandLine } from '../../../src/doveadm/protocol/command.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import type { Lab, Release } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { effectsOf, isForbidden, type PresetEffect, secretOf } from './preset-effects.js';
import { makePresetLine, type PresetLine } from './preset-lines.js';
import { type PresetPolicy, presetPolicies, presetText } from './preset-policies.js';
import { labTestMs, releasesAsked } from './real-gateway.js';
import { openWorlds, people, type RunAs, type World } from './twin-worlds.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const minutes = process.env['DOVEGATE_MINUTES'];
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_261_121);
const linesPerPolicy = Math.ceil(8 * rounds);
/** Lines to make until one is allowed and new; a policy of few commands has few. */
const triesMax = 400;

interface Found extends PresetEffect {
  readonly preset: string;
  readonly series: string;
  readonly line: string;
}

for (const release of releasesAsked()) {
  void test(`what presets allow, on Dovecot ${release}`, {
    timeout: labTestMs + Number(minutes ?? 0) * 60_000,
  }, async (t) => {
    const place = await openDestination(t);
    const opened = await openPresetWorld(t, release);
    if ('skip' in opened) return t.skip(opened.skip);
    const { world, version, series } = opened;
    const found = await search(t, {
      ...opened,
      came: place.came,
      destination: `tcp:127.0.0.1:${place.port}`,
    });
    t.diagnostic(`Dovecot ${version}, seed ${seed}: ${found.tried} lines sent, ${found.made} made`);
    assert.deepEqual(found.effects.filter((one) => isForbidden(one) && !isAccepted(one)).map(describe), []);
    // The search sees what commands do: a preset that deletes does.
    assert.ok(found.effects.some(({ what }) => what.startsWith('gone: mails')));
    assert.equal(world.lab.series, series);
    assert.ok(found.tried > 100);
  });
}

/** What must not happen, and yet belongs to a preset, whose first lines say so. */
function isAccepted({ preset, what }: Found): boolean {
  return preset === 'migration' && what === 'the one destination, with the password of the server';
}

function describe({ preset, kind, what, series, line }: Found): string {
  return `${preset} ${kind} ${what} (${series}: ${line})`;
}

interface Searching {
  readonly world: World;
  readonly series: Lab['series'];
  readonly importFolder: string;
  readonly destination: string;
  readonly came: () => string;
}

async function search(
  t: TestContext,
  { world, series, importFolder, destination, came }: Searching,
): Promise<{ tried: number; made: number; effects: Found[] }> {
  const random = seededRandom(seed);
  const places = { destination, importFolder };
  const policies = presetPolicies(places);
  const effects = new Map<string, Found>();
  const sent = new Set<string>();
  const before = world.files();
  const untilMs = minutes === undefined ? undefined : Date.now() + Number(minutes) * 60_000;
  let made = 0;
  let tried = 0;
  const tryOne = async (policy: PresetPolicy, line: PresetLine): Promise<boolean> => {
    const [user, ...words] = line;
    made += 1;
    const judgement = policy.judge(series, user, words);
    if (judgement.kind !== 'judged' || judgement.decision.kind !== 'allow') return false;
    const { attempt, canonical } = judgement;
    const [name = '', ...args] = canonical;
    const text = [attempt.user ?? '-', ...canonical.filter((word) => word !== '--').map(quote)].join(' ');
    const key = `${policy.preset} ${policy.scope} ${text}`;
    if (sent.has(key)) return false;
    sent.add(key);
    tried += 1;
    const encoded = encodeCommandLine({ user: attempt.user ?? '', name, args }).subarray(0, -1);
    const input =
      inputOf(attempt.command, attempt.parsed) === 'dot' ? Buffer.from('discard;\n.\n') : undefined;
    const seen = await world.run(encoded, {
      input,
      isAlone: attempt.command.scope === 'server' || attempt.command.input !== 'none',
    });
    const after = world.files();
    for (const effect of effectsOf({ attempt, scope: policy.scope, seen, before, after, came: came() })) {
      const one = { ...effect, preset: policy.preset, series, line: generalised(text, world, places) };
      const kind = `${one.preset} ${one.kind} ${one.what}`;
      if (!effects.has(kind)) effects.set(kind, one);
    }
    if (world.changed().size > 0 || !isDeepStrictEqual(after, before)) world.restore();
    return true;
  };
  const plans = policies.map((policy) => {
    const own = presetText(policy.preset).lines;
    const commands = [...policy.policy.allowByCommand.keys()].filter(
      (name) => commandNamed(series, name) !== undefined,
    );
    return { policy, own, commands };
  });
  // First what the presets' own tests say, so that a short run finds what it should.
  for (const { policy, own } of plans) for (const line of own) await tryOne(policy, line);
  for (let round = 0; untilMs === undefined ? round < linesPerPolicy : Date.now() < untilMs; round += 1) {
    for (const { policy, own, commands } of plans) {
      for (let left = triesMax; left > 0; left -= 1) {
        if (await tryOne(policy, makePresetLine(random, series, commands, own, places))) break;
      }
    }
    if (round % 200 === 199) t.diagnostic(`${tried} lines sent, ${effects.size} effects`);
  }
  return { tried, made, effects: [...effects.values()] };
}

function quote(word: string): string {
  return /^[\w@.,:/*%+=<>()-]+$/.test(word) ? word : JSON.stringify(word);
}

/** Without what differs from run to run. */
function generalised(
  text: string,
  world: World,
  { destination, importFolder }: { destination: string; importFolder: string },
): string {
  return text
    .replaceAll(destination, 'tcp:DESTINATION')
    .replaceAll(importFolder, '/migrate')
    .replaceAll(world.lab.inRoot(world.lab.folder), '/lab');
}

/** Counts who comes, and keeps what they send; greets as a server that wants a password. */
async function openDestination(owner: Owner): Promise<{ port: number; came: () => string }> {
  let text = '';
  const server = net.createServer((socket) => {
    text += 'connected\n';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (chunk.includes('PLAIN')) socket.destroy();
    });
    socket.write('VERSION\tdoveadm-client\t1\t2\n-\n');
  });
  const [port = 0] = await freePorts(1);
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  owner.after(() => void server.close());
  return {
    port,
    came() {
      const all = text;
      text = '';
      return all;
    },
  };
}

/** Settings that let all commands of presets run, and a password that must not be seen. */
const settings: Record<Lab['series'], (port: number) => string> = {
  '2.3': (port) => `doveadm_password = ${secretOf.server}
service replicator {
  process_min_avail = 1
  unix_listener replicator-doveadm {
    mode = 0600
  }
}
director_servers = 127.0.0.1
director_mail_servers = 127.0.0.1
service director {
  unix_listener director-admin {
    mode = 0600
  }
  unix_listener login/director {
    mode = 0666
  }
  fifo_listener login/proxy-notify {
    mode = 0666
  }
  inet_listener {
    address = 127.0.0.1
    port = ${port}
  }
}
`,
  '2.4': () => `doveadm_password = ${secretOf.server}\n`,
};

async function openPresetWorld(owner: Owner, release: Release) {
  const [port = 0] = await freePorts(1);
  const opened = await openWorlds(owner, release, {
    count: 1,
    settings: (series) => settings[series](port),
    prepare(lab) {
      const path = join(lab.folder, 'passwd');
      const lines = readFileSync(path, 'utf8').split('\n');
      const secrets = (person: string): string =>
        `userdb_mail_crypt_private_password=${secretOf.userdb(person)} userdb_imapc_password=${secretOf.userdb(person)}`;
      writeFileSync(
        path,
        lines
          .map((line) => {
            const person = people.find((each) => line.startsWith(`${each}@`));
            return person === undefined ? line : `${line}${secrets(person)}`;
          })
          .join('\n'),
      );
    },
    fillMore: plantAttributes,
  });
  if ('skip' in opened) return opened;
  const [world] = opened.worlds;
  assert.ok(world);
  return { ...opened, world };
}

async function plantAttributes(run: RunAs): Promise<void> {
  for (const person of people) {
    const user = `${person}@example.org`;
    await run(user, ['mailbox metadata set', '--', 'INBOX', '/private/note', `remark-${person}`]);
    const hidden = '/private/vendor/vendor.dovecot/pvt/hidden';
    await run(user, ['mailbox metadata set', '--', 'INBOX', hidden, secretOf.hidden(person)]);
  }
}
