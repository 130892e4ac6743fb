#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createPlayer, withMade } from './client.mjs';
import { playAtServer, probe } from './server.mjs';
import { families, plays } from './sessions.mjs';

const usage = `usage: doveadm-vectors server --connect HOST:PORT|--socket PATH [--tls] [--ca FILE] [--user NAME] [--password-file FILE]
                              [--release VERSION] [--have NEED]... [--only FAMILY]... [--list] [--json] [--timeout SECONDS]
       doveadm-vectors client [--release VERSION] [--only FAMILY]... [--list] [--json] [--timeout SECONDS]
                              -- COMMAND {socket}|{host} {port}|{args}

README.md beside this program says what each of them does. Exit 0: all that was played passed; 1: something failed; 64: usage.`;

class Usage extends Error {}

const common = {
  only: { type: 'string', multiple: true, default: [] },
  list: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  timeout: { type: 'string', default: '20' },
  vectors: { type: 'string' },
};

function parse(args, options) {
  const parsed = parseArgs({ args, options: { ...common, ...options }, allowPositionals: true });
  const seconds = Number(parsed.values.timeout);
  if (!(seconds > 0 && seconds <= 3600)) throw new Usage('--timeout: seconds, at most 3600');
  return { ...parsed, timeoutMs: seconds * 1000 };
}

function chosen(role, { only, vectors }) {
  const all = families(role, vectors);
  const unknown = only.find((name) => !all.some((family) => family.name === name));
  if (unknown !== undefined) throw new Usage(`--only: there is no ${role} family "${unknown}"; see --list`);
  return only.length === 0 ? all : all.filter(({ name }) => only.includes(name));
}

function list(some) {
  for (const { name, sessions } of some)
    console.log(`${name}: ${sessions[0].description} (${sessions.map(({ dovecot }) => dovecot).join(' ')})`);
}

/** Prints one result a family, and resolves with the exit code. */
async function report(some, isJson, play) {
  const counts = { pass: 0, fail: 0, skip: 0 };
  if (!isJson) console.log(`TAP version 13\n1..${some.length}`);
  for (const [at, family] of some.entries()) {
    const { result, release, why } = await play(family);
    counts[result] += 1;
    if (isJson) console.log(JSON.stringify({ family: family.name, result, release, why }));
    else {
      const of = release === undefined ? '' : ` as ${release}`;
      const skip = result === 'skip' ? ` # SKIP ${why}` : '';
      console.log(`${result === 'fail' ? 'not ok' : 'ok'} ${at + 1} - ${family.name}${of}${skip}`);
      if (result === 'fail') console.log(`# ${why.replaceAll('\n', '\n# ')}`);
    }
  }
  const said = `${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped`;
  console.log(isJson ? JSON.stringify(counts) : `# ${said}`);
  if (counts.pass + counts.fail === 0) console.error('doveadm-vectors: nothing was played');
  return counts.fail === 0 && counts.pass > 0 ? 0 : 1;
}

async function server(args) {
  const { values, positionals, timeoutMs } = parse(args, {
    connect: { type: 'string' },
    socket: { type: 'string' },
    tls: { type: 'boolean', default: false },
    ca: { type: 'string' },
    user: { type: 'string', default: 'doveadm' },
    'password-file': { type: 'string' },
    release: { type: 'string' },
    have: { type: 'string', multiple: true, default: [] },
  });
  if (positionals.length > 0) throw new Usage(`"${positionals[0]}" is no option of server`);
  const some = chosen('server', values);
  if (values.list) {
    list(some);
    return 0;
  }
  if ((values.connect === undefined) === (values.socket === undefined))
    throw new Usage('one of --connect and --socket');
  const [, host, port] = /^\[?(.+?)\]?:(\d{1,5})$/.exec(values.connect ?? '') ?? [];
  if (values.connect !== undefined && host === undefined) throw new Usage('--connect: HOST:PORT');
  const unknown = values.have.find((need) => !Object.hasOwn(plays.needs, need));
  if (unknown !== undefined)
    throw new Usage(`--have: one of ${Object.keys(plays.needs).join(', ')}; not ${unknown}`);
  const target = {
    address: host === undefined ? { path: values.socket } : { host, port: Number(port) },
    host,
    tls: values.tls,
    ca: values.ca === undefined ? undefined : readFileSync(values.ca),
    user: values.user,
    password:
      values['password-file'] === undefined
        ? undefined
        : readFileSync(values['password-file'], 'utf8').replace(/\r?\n$/, ''),
    have: values.have,
  };
  const about = await probe(target, timeoutMs);
  if (!values.json) console.log(`# a server of minor ${about.minor} that greets ${about.greeting}`);
  const options = { ...about, release: values.release, timeoutMs };
  return report(some, values.json, (family) => playAtServer(family, target, options));
}

async function client(args) {
  const { values, positionals: command, timeoutMs } = parse(args, { release: { type: 'string' } });
  const some = chosen('client', values);
  if (values.list) {
    list(some);
    return 0;
  }
  if (command.length === 0) throw new Usage('client needs a command: client -- COMMAND ...');
  return report(withMade(some), values.json, createPlayer(command, { release: values.release, timeoutMs }));
}

const commands = { server, client };
const [name = '', ...args] = process.argv.slice(2);
try {
  if (name === '--help' || name === '-h') console.log(usage);
  else if (!Object.hasOwn(commands, name)) throw new Usage(`"${name}" is neither server nor client`);
  else process.exitCode = await commands[name](args);
} catch (error) {
  const isUsage = error instanceof Usage || String(error.code).startsWith('ERR_PARSE_ARGS');
  console.error(`doveadm-vectors: ${error.message}${isUsage ? `\n${usage}` : ''}`);
  process.exitCode = isUsage ? 64 : 1;
}
