// Goal: no secret value of a command is kept anywhere. Every parameter of the catalog, in both series, whose value can be a secret is
// sent with one that is seen nowhere else: to a policy that allows the command, to one that denies it, and in lines that cannot be
// read; the backend repeats each line on its log channel. What must not happen: one of these values in the journal, the log, or
// anything that the admin socket and the commands for auditors show.
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { commandsOf, type Parameter, type Series } from '../../../src/doveadm/commands/catalog.js';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { lineOf, secretWords, user } from '../../kit/plain/secret-lines.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { findSecrets } from '../../kit/plain/traces.js';

interface Asked {
  readonly secret: string;
  readonly isBroken: boolean;
  readonly fields: string[];
}

function isReadable({ isBroken }: Asked): boolean {
  return !isBroken;
}

function linesOf(series: Series): Asked[] {
  const lines: Asked[] = [];
  for (const command of commandsOf(series)) {
    for (const parameter of command.params) {
      if (parameter.type === 'bool') continue;
      const secret = `Xq${lines.length}zW-${series}-hush`;
      const words = secretWords(parameter, secret);
      if (words === undefined) continue;
      const fields = lineOf(command, parameter, words);
      lines.push({ secret, isBroken: false, fields });
      // The same with what no command knows, and a word too few: nobody can tell what the words are then.
      const [name = '', ...rest] = fields;
      lines.push({ secret, isBroken: true, fields: [name, `--no-such-option=${secret}`, ...rest] });
      // A bare word is a destination or a path, which auditors must be able to read.
      if (words.includes(secret)) lines.push({ secret, isBroken: true, fields: [name, secret] });
      lines.push({ secret, isBroken: true, fields: [`${name} ${secret}`] });
    }
  }
  return lines;
}

/** Every command that can hold a secret, with every parameter that can. */
function everything(series: Series): string {
  const rules = commandsOf(series).flatMap(({ name: command, params, grant }) => {
    const named = params.filter((parameter) => secretWords(parameter, '') !== undefined);
    if (named.length === 0) return [];
    const isNeeded = (parameter: Parameter): boolean => parameter.isPositional && !parameter.isOptional;
    const values = params.filter(
      (parameter) => parameter.role !== 'search-query' && (named.includes(parameter) || isNeeded(parameter)),
    );
    const where =
      values.length === 0
        ? ''
        : `, where: { ${values.map(({ name }) => `${name.replace(/(field|flag)str/, '$1')}: any`).join(', ')} }`;
    const content = named.some(({ role }) => role === 'search-query') ? ', content: true' : '';
    const root = grant === 'never' ? ', root_equivalent: true' : '';
    return [`      - { command: ${command}${where}${content}${root} }`];
  });
  return `\n    users: ["*"]\n    logs: full\n    allow:\n${rules.join('\n')}`;
}

const asRoot = onlyRoot('can be several users');

/** Each is for another user, of whom ten refusals a second have records; above that they are counted. */
const deniedListeners = Array.from({ length: 6 }, (_, at) => `denied${at}`);
const refusalsApartMs = 120;

/** A session of its own each: those that could have input behind them are closed after their answer. */
async function sendTo({ daemon }: Gateway, listener: string, { fields }: Asked, uid?: number): Promise<void> {
  const client = await openRawClient({ path: daemon.path(`${listener}.sock`), minor: 1, uid });
  await client.ask({ user, fields });
  client.close();
}

/** Refused ones, by all listeners for them at the same time. */
async function sendDenied(lines: readonly Asked[], gateway: Gateway): Promise<void> {
  await Promise.all(
    deniedListeners.map(async (listener, at) => {
      for (const line of lines.filter((_, index) => index % deniedListeners.length === at)) {
        await sendTo(gateway, listener, line, 64_001 + at);
        await pause(refusalsApartMs);
      }
    }),
  );
}

async function ask(socketPath: string, path: string): Promise<string> {
  return (await askHttp({ socketPath }, path)).body;
}

/** Everything that people and programs are shown. */
async function shown({ daemon }: Gateway): Promise<string> {
  const audit = daemon.path('audit');
  const ids = auditRecords(daemon).flatMap(({ event, id }) => (event === 'admission' ? [String(id)] : []));
  const texts = ['/status.json', '/metrics', '/'].map((path) => ask(daemon.path('admin.sock'), path));
  const commands = [
    ['search', audit],
    ['search', audit, '--json'],
    ['export', audit],
    ['tail', audit],
    ['show', ids[1] ?? '', audit],
  ].map(async (args) => (await runWarm(['audit', ...args])).text);
  return (await Promise.all([...texts, ...commands])).join('\n');
}

for (const series of ['2.3', '2.4'] as const) {
  void test(`Dovecot ${series}: policies that allow and deny`, asRoot, async (t) => {
    const listeners = ['support', ...deniedListeners].map((name) => {
      const policy = name === 'support' ? 'support' : 'denying';
      return `\n  ${name}: { unix: ${name}.sock, mode: "0666", policy: ${policy} }`;
    });
    const gateway = await openGateway(t, {
      listeners: listeners.join(''),
      policy: `${everything(series)}\n  denying: { users: ["*"], allow: [quota get], logs: full }`,
      mail1: { series: `"${series}"` },
      more: 'admin: { unix: admin.sock }',
      backend: {
        minor: series === '2.3' ? 2 : 4,
        script: async ({ fields }, connection) => {
          await connection.log('error', `doveadm(${user}): cannot do: ${fields.join(' ')}`);
          await connection.status('-NOTFOUND');
        },
      },
    });
    chmodSync(gateway.daemon.folder, 0o711);
    const lines = linesOf(series);
    const secrets = [...new Set(lines.map(({ secret }) => secret))];
    t.diagnostic(`${lines.length} lines with ${secrets.length} secrets`);
    const recorded = (): number =>
      auditRecords(gateway.daemon).filter(({ event, args }) => event === 'admission' && args).length;
    await sendDenied(lines, gateway);
    assert.equal(gateway.backend.commands.length, 0);
    const denied = recorded();
    assert.ok(denied >= secrets.length, `${denied} recorded`);
    const unreadable = lines.filter((line) => !isReadable(line));
    for (const line of [...lines.filter(isReadable), ...unreadable]) await sendTo(gateway, 'support', line);
    const sent = gateway.backend.commands.length;
    assert.ok(sent > 20, `${sent} sent`);
    const allowed = recorded() - denied;
    t.diagnostic(
      `${denied} recorded with their arguments when denied, ${allowed} when allowed, ${sent} sent`,
    );
    assert.ok(allowed >= secrets.length, `${allowed} recorded`);
    const output = await shown(gateway);
    assert.ok(output.includes('quota') || output.includes('admission'));
    await gateway.daemon.stop();
    assert.deepEqual(gateway.daemon.grepSecrets(secrets), []);
    assert.deepEqual(findSecrets(secrets, gateway.daemon.path('audit/policies'), [], output), []);
  });
}
