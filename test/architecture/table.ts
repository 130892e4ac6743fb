// The architecture as data: which folder of src/ may import what, which globals live where, how large things may grow.
// The checker knows no folder by name. To allow an arrow, change a line here, and say why in src/README.md.

/** A lower number is a lower floor. Type-only imports are allowed from every lower floor. */
export const floors = { ground: 0, domain: 1, engine: 2, adapters: 3, top: 4 } as const;

export type Floor = keyof typeof floors;

export interface FolderRule {
  readonly floor: Floor;
  /** Folders, or single files (`host/clock`), whose values may be imported. The own folder is always allowed. */
  readonly imports: readonly string[];
  /** Folders of which not even types may be imported. */
  readonly neverTypes?: readonly string[];
  /** Node modules without `node:`; `fs` stands for `fs/promises` too. `assert` is allowed everywhere. */
  readonly builtins: readonly string[];
  readonly packages: readonly string[];
}

const belowEngine = [
  'wire',
  'identity',
  'catalog',
  'policy',
  'routing',
  'audit',
  'judgement',
  'ports',
  'greeting',
];
const belowTop =
  'wire auth-wire ports identity catalog text policy routing audit source listening config judgement review engine lookup backend destination relay exchange frontend net certificates segments journal ship observe admin host client terminal'.split(
    ' ',
  );
// The engine floor takes narrow option objects, so that none of its tests builds a configuration file.
const neverTypes = ['config'];

/** Folders of src/, by name; `main` is the file src/main.ts. */
export const folders: Readonly<Record<string, FolderRule>> = {
  wire: { floor: 'ground', imports: [], builtins: [], packages: [] },
  'auth-wire': { floor: 'ground', imports: ['wire'], builtins: [], packages: [] },
  ports: { floor: 'ground', imports: [], builtins: [], packages: [] },
  // Who dials shakes hands in one way, the daemon and the client library alike.
  greeting: { floor: 'ground', imports: ['wire', 'ports'], builtins: [], packages: [] },

  identity: { floor: 'domain', imports: [], builtins: ['crypto'], packages: [] },
  catalog: { floor: 'domain', imports: ['wire'], builtins: [], packages: [] },
  // A text that goes up is cut in one way, by the daemon and the client library alike.
  text: { floor: 'domain', imports: ['wire', 'ports', 'catalog'], builtins: [], packages: [] },
  policy: {
    floor: 'domain',
    imports: ['wire', 'identity', 'catalog'],
    builtins: [],
    packages: ['lru-cache', 're2js'],
  },
  routing: { floor: 'domain', imports: ['identity', 'catalog', 'policy'], builtins: [], packages: [] },
  audit: {
    floor: 'domain',
    imports: ['wire', 'identity', 'catalog', 'policy'],
    builtins: ['crypto'],
    packages: [],
  },
  source: {
    floor: 'domain',
    imports: ['identity', 'catalog', 'policy'],
    builtins: ['path'],
    packages: ['yaml', 'zod'],
  },
  // The sockets for teams, apart from the rest of a configuration: it outgrew that folder.
  listening: {
    floor: 'domain',
    imports: ['source', 'identity'],
    builtins: [],
    packages: ['zod'],
  },
  config: {
    floor: 'domain',
    imports: ['listening', 'source', 'routing', 'identity', 'catalog', 'policy'],
    builtins: ['path'],
    packages: ['yaml', 'zod'],
  },
  // What a line means, whether policy allows it, and both in words: for the engine, and for who explains without one.
  judgement: {
    floor: 'domain',
    imports: ['source', 'audit', 'policy', 'catalog', 'identity', 'wire'],
    builtins: [],
    packages: [],
  },
  review: {
    floor: 'domain',
    imports: ['source', 'routing', 'listening', 'config', 'audit', 'policy', 'catalog', 'identity'],
    builtins: [],
    packages: [],
  },

  engine: { floor: 'engine', imports: belowEngine, neverTypes, builtins: [], packages: [] },
  lookup: {
    floor: 'engine',
    imports: ['engine', 'auth-wire', ...belowEngine],
    neverTypes,
    builtins: [],
    packages: ['lru-cache'],
  },
  backend: {
    floor: 'engine',
    imports: ['lookup', 'engine', ...belowEngine],
    neverTypes,
    builtins: [],
    packages: ['lru-cache'],
  },
  relay: {
    floor: 'engine',
    imports: ['text', 'backend', 'engine', ...belowEngine],
    neverTypes,
    builtins: [],
    packages: [],
  },
  destination: {
    floor: 'engine',
    imports: ['backend', 'lookup', 'engine', ...belowEngine],
    neverTypes,
    builtins: [],
    packages: [],
  },
  exchange: {
    floor: 'engine',
    imports: ['relay', 'destination', 'backend', 'lookup', 'engine', ...belowEngine],
    neverTypes,
    builtins: [],
    packages: [],
  },
  frontend: {
    floor: 'engine',
    imports: ['exchange', 'relay', 'backend', 'engine', ...belowEngine],
    neverTypes,
    builtins: [],
    packages: [],
  },

  net: {
    floor: 'adapters',
    imports: ['ports', 'wire', 'identity'],
    // crypto: the names of OpenSSL's options.
    builtins: ['net', 'tls', 'stream', 'fs', 'path', 'crypto'],
    packages: [],
  },
  // What listeners show to clients that want TLS; how it is shown is handed in.
  certificates: {
    floor: 'adapters',
    imports: ['source', 'ports'],
    builtins: ['fs', 'crypto'],
    packages: [],
  },
  // The files of a journal as they lie on disk: the journal writes them, commands and shippers read them.
  segments: {
    floor: 'adapters',
    imports: ['engine', 'audit', 'ports'],
    builtins: ['fs', 'path', 'zlib'],
    packages: [],
  },
  journal: {
    floor: 'adapters',
    imports: ['segments', 'engine', 'audit', 'ports'],
    builtins: ['fs', 'path', 'crypto', 'zlib', 'worker_threads'],
    packages: [],
  },
  // Reads the journal as everybody else does; how it reaches a receiver is handed in.
  ship: {
    floor: 'adapters',
    imports: ['segments', 'engine', 'audit', 'ports'],
    builtins: ['fs', 'path'],
    packages: [],
  },
  observe: {
    floor: 'adapters',
    // export: how text of others is shown.
    imports: ['engine', 'audit/export'],
    builtins: ['os', 'perf_hooks'],
    packages: ['pino', 'pino-pretty', 'prom-client'],
  },
  admin: { floor: 'adapters', imports: ['engine', 'ports'], builtins: ['http'], packages: [] },
  host: {
    floor: 'adapters',
    imports: ['ports', 'engine'],
    builtins: ['fs', 'path', 'os', 'child_process', 'process', 'timers', 'perf_hooks'],
    packages: ['koffi'],
  },
  client: {
    floor: 'adapters',
    // The catalog is loaded when it is needed only (command-columns).
    imports: ['wire', 'ports', 'greeting', 'text', 'catalog', 'net', 'host/clock'],
    builtins: [],
    packages: [],
  },

  terminal: {
    floor: 'top',
    imports: ['identity', 'audit', 'judgement'],
    builtins: ['util', 'readline', 'fs', 'tty'],
    packages: ['picocolors'],
  },
  auditor: {
    floor: 'top',
    imports: belowTop,
    builtins: ['util', 'readline', 'fs', 'path', 'url', 'tty'],
    packages: ['commander', 'picocolors'],
  },
  // `send`, and the program under the name of doveadm.
  'drop-in': {
    floor: 'top',
    imports: belowTop,
    builtins: ['util', 'readline', 'fs', 'path', 'url', 'tty'],
    packages: ['commander', 'picocolors'],
  },
  // What may come next on a command line, for shells. It reads the option tables and is handed them, so it imports no subcommand.
  completion: {
    floor: 'top',
    imports: [...belowTop, 'drop-in'],
    builtins: [],
    packages: ['commander'],
  },
  cli: {
    floor: 'top',
    imports: [...belowTop, 'auditor', 'drop-in', 'completion'],
    builtins: ['util', 'readline', 'fs', 'path', 'url', 'tty', 'http'],
    packages: ['commander', 'picocolors'],
  },
  daemon: { floor: 'top', imports: [...belowTop, 'cli', 'drop-in'], builtins: ['process'], packages: [] },
  // Not in the published package, so nothing may import it.
  demo: {
    floor: 'top',
    imports: [...belowTop, 'cli', 'daemon', 'test/kit'],
    builtins: ['process'],
    packages: [],
  },
  main: {
    floor: 'top',
    imports: [...belowTop, 'cli', 'drop-in', 'daemon'],
    builtins: ['process', 'path'],
    packages: [],
  },
};

export const builtinsEverywhere: readonly string[] = ['assert'];

/** A name of the global object, or two with a dot between, and the folders that may use it. */
export const globalRules: readonly { readonly name: string; readonly allowedIn: readonly string[] }[] = [
  { name: 'process.exit', allowedIn: ['main'] },
  { name: 'Date', allowedIn: ['host'] },
  { name: 'performance', allowedIn: ['host'] },
  { name: 'setTimeout', allowedIn: ['host'] },
  { name: 'setInterval', allowedIn: ['host'] },
  { name: 'setImmediate', allowedIn: ['host'] },
  { name: 'AbortSignal.timeout', allowedIn: ['host'] },
  { name: 'Math.random', allowedIn: ['host'] },
  { name: 'fetch', allowedIn: [] },
  { name: 'console', allowedIn: ['terminal', 'auditor', 'drop-in', 'cli', 'demo'] },
  {
    name: 'EventEmitter',
    allowedIn: Object.keys(folders).filter(
      (name) => floors[folders[name]?.floor ?? 'ground'] >= floors.adapters,
    ),
  },
  // Ways to import that this table would not see.
  { name: 'process.getBuiltinModule', allowedIn: [] },
  { name: 'process.binding', allowedIn: [] },
  { name: 'eval', allowedIn: [] },
];

/** No file is named so, nor ends in `-` and one of these. */
export const bannedFileNames: readonly string[] =
  'utils util helpers helper common misc shared base types manager index'.split(' ');

export const fileLinesMax = 600;

/** Tables of facts: no limit of lines, and no test file of their own. */
export function isData(path: string): boolean {
  return /^src\/catalog\/data(-[a-z0-9]+)*\.ts$/.test(path);
}
