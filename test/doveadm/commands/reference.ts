// A second reader of arguments, written from the descriptions of getopt_long(3) and of doveadm-server and sharing no code with the
// first: it works on one argument vector that it permutes, as the C library does, completes abbreviated options, lets the last
// value win and drops numbers of 2.3 that are none. It never refuses for safety, only where a server would.
import type { Command, Parameter, Series } from '../../../src/doveadm/commands/catalog.js';

/** What the command of the server works with; `usage` when it does not get that far. */
export type Seen = Map<string, string[]> | 'usage';

interface Hit {
  parameter: Parameter;
  value: string;
}

/** getopt_long over `argv` (without a program's name in front); returns the hits, and puts what is left into `rest`. */
function getoptLong(
  params: readonly Parameter[],
  argv: string[],
  isOrdered: boolean,
  rest: string[],
): Hit[] | 'usage' {
  const hits: Hit[] = [];
  const skipped: string[] = [];
  let cluster = '';
  let index = 0;
  while (index < argv.length || cluster !== '') {
    if (cluster === '') {
      const word = argv[index] ?? '';
      if (word === '--') {
        rest.push(...skipped, ...argv.slice(index + 1));
        return hits;
      }
      if (word[0] !== '-' || word.length === 1) {
        if (isOrdered) {
          rest.push(...argv.slice(index));
          return hits;
        }
        skipped.push(word);
        index += 1;
        continue;
      }
      index += 1;
      if (word[1] !== '-') {
        cluster = word.slice(1);
        continue;
      }
      const [, name = '', attached] = /^--([^=]*)(?:=([\s\S]*))?$/.exec(word) ?? [];
      let found = params.find((one) => one.name === name);
      if (found === undefined) {
        const candidates = params.filter((one) => one.name.slice(0, name.length) === name);
        found = candidates[0];
        const takesValue = (one: Parameter): boolean => one.type !== 'bool';
        for (const other of candidates) {
          if (found === undefined) break;
          if (takesValue(other) !== takesValue(found) || other.short !== found.short) return 'usage';
        }
      }
      if (found === undefined) return 'usage';
      if (found.type === 'bool') {
        if (attached !== undefined) return 'usage';
        hits.push({ parameter: found, value: '' });
      } else if (attached === undefined) {
        if (index >= argv.length) return 'usage';
        hits.push({ parameter: found, value: argv[index] ?? '' });
        index += 1;
      } else {
        hits.push({ parameter: found, value: attached });
      }
      continue;
    }
    const letter = cluster[0];
    cluster = cluster.slice(1);
    const parameter = params.find((one) => one.short === letter);
    if (parameter === undefined) return 'usage';
    if (parameter.type === 'bool') {
      hits.push({ parameter, value: '' });
    } else if (cluster === '') {
      if (index >= argv.length) return 'usage';
      hits.push({ parameter, value: argv[index] ?? '' });
      index += 1;
    } else {
      hits.push({ parameter, value: cluster });
      cluster = '';
    }
  }
  rest.push(...skipped);
  return hits;
}

/** Reads a command line to the end: what the code of the command will find. */
export function serverSees(series: Series, command: Command, args: readonly string[]): Seen {
  const { params } = command;
  const slots = new Map<string, string[]>();
  const fill = (parameter: Parameter, value: string): boolean => {
    if (parameter.type === 'array') {
      slots.set(parameter.name, [...(slots.get(parameter.name) ?? []), value]);
    } else if (parameter.type === 'bool') {
      slots.set(parameter.name, ['true']);
    } else if (parameter.type === 'int') {
      const isNumber = /^-?[0-9]+$/.test(value);
      if (isNumber && BigInt.asIntN(64, BigInt(value)) === BigInt(value)) {
        if (parameter.isUnsigned && BigInt(value) < 0n) return false;
        slots.set(parameter.name, [String(BigInt(value))]);
      } else if (series === '2.4') {
        return false;
      } else {
        slots.delete(parameter.name);
      }
    } else {
      slots.set(parameter.name, [value]);
    }
    return true;
  };
  const rest: string[] = [];
  const hits = getoptLong(params, [...args], !command.permutes, rest);
  if (hits === 'usage') return 'usage';
  for (const { parameter, value } of hits) if (!fill(parameter, value)) return 'usage';
  if (series === '2.3') {
    for (const word of rest) {
      const slot = params
        .filter((one) => one.isPositional)
        .find((one) => !slots.has(one.name) || one.type === 'array');
      if (slot === undefined || !fill(slot, word)) return 'usage';
    }
    return flattened(command, slots);
  }
  let pointer = 0;
  let lastPlain = 0;
  while (rest.length > 0) {
    let isKeyValue = false;
    let slot: Parameter | undefined;
    while (slot === undefined) {
      const one = params[pointer];
      if (one === undefined) return 'usage';
      const isFree = one.isPositional && (!slots.has(one.name) || one.type === 'array');
      if (one.isPositional && one.key === undefined) lastPlain = pointer;
      if (!isFree) pointer += 1;
      else if (one.key === undefined) slot = one;
      // A server knows the key only; `source-user` is what clients write, and is sent on as the key.
      else if (rest.length > 1 && (rest[0] === one.key || rest[0] === 'source-user')) {
        rest.shift();
        isKeyValue = true;
        slot = one;
      } else pointer += 1;
    }
    if (!fill(slot, rest.shift() ?? '')) return 'usage';
    if (isKeyValue) pointer = lastPlain;
  }
  // A list given as an option hides its text positional.
  for (const [list, text] of [
    ['field', 'fieldstr'],
    ['flag', 'flagstr'],
  ] as const) {
    if (!params.some((one) => one.name === text && one.isPositional)) continue;
    const words =
      slots.get(list) ??
      slots
        .get(text)?.[0]
        ?.split(/ +/)
        .filter((word) => word !== '');
    slots.delete(text);
    if (words !== undefined) slots.set(list, words);
  }
  return lowered(command, slots);
}

/** 2.3 hands a mail command one list of its positionals, in table order, which the command reads again from its beginning. */
function flattened(command: Command, slots: Map<string, string[]>): Seen {
  const textName = command.params.find(
    (one) => one.isPositional && /^f(?:ield|lag)str$/.test(one.name),
  )?.name;
  const isCopy = command.name === 'copy' || command.name === 'move';
  if (command.scope === 'server' || (textName === undefined && !isCopy)) return lowered(command, slots);
  const flat: string[] = [];
  for (const { name, isPositional } of command.params) {
    const value = slots.get(name);
    if (value === undefined) continue;
    if (name === 'field' || name === 'flag') flat.push(value.join(' '));
    else if (isPositional) flat.push(...value);
    else continue;
    slots.delete(name);
  }
  const head = flat.shift();
  if (head === undefined || flat.length === 0) return 'usage';
  if (isCopy) {
    slots.set('destination-mailbox', [head]);
    const second = flat[0] ?? '';
    if (flat.length > 1 && (second.toLowerCase() === 'user' || second === 'source-user')) {
      slots.set('source-user', flat.splice(0, 2).slice(1));
    }
  } else {
    slots.set(
      textName === 'flagstr' ? 'flag' : 'field',
      head.split(' ').filter((word) => word !== ''),
    );
  }
  const tail = command.params.at(-1)?.name ?? '';
  if (flat.length > 0) slots.set(tail, flat);
  return lowered(command, slots);
}

/** What servers fold before they look at it. */
function lowered(command: Command, slots: Map<string, string[]>): Seen {
  const flags = slots.get('flag');
  const systemFlag = (flag: string): string => `\\${flag[1]?.toUpperCase()}${flag.slice(2).toLowerCase()}`;
  if (flags !== undefined) {
    slots.set(
      'flag',
      flags.map((flag) => (flag.startsWith('\\') ? systemFlag(flag) : flag)),
    );
  }
  for (const { name, role } of command.params) {
    if (role !== 'metadata-key') continue;
    const keys = slots.get(name);
    if (keys !== undefined)
      slots.set(
        name,
        keys.map((key) => key.toLowerCase()),
      );
  }
  const cached =
    slots
      .get('fieldstr')?.[0]
      ?.split(/[ ,]/)
      .filter((field) => field !== '') ?? [];
  if (command.name === 'mailbox cache decision' && cached.length > 0) slots.set('fieldstr', cached);
  const fields = slots.get('field');
  if (command.name === 'fetch' && fields !== undefined) {
    slots.set(
      'field',
      fields.map((field) => field.toLowerCase()),
    );
  }
  return slots;
}
