// The floors inside of the gate, as data: which of its folders may import which, and Node's modules and packages of each. What lies below
// the gate may be imported by all of them (parts.ts). The checker knows no folder by name. To allow an import, change a line here.

export interface ModuleRule {
  /** Folders of the gate that may be imported, values and types alike. The own folder is always allowed. */
  readonly imports: readonly string[];
  /** The files that other folders of the gate may import, without `.ts`. */
  readonly public?: readonly string[];
  /** Node modules without `node:`; `fs` stands for `fs/promises` too. `assert` is allowed everywhere. */
  readonly builtins: readonly string[];
  readonly packages: readonly string[];
}

/** Words with blanks between them, so that a row is a line. */
function rule(imports: string, files: string, builtins = '', packages = ''): ModuleRule {
  const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');
  return {
    imports: words(imports).map((name) => `gate/${name}`),
    public: words(files),
    builtins: words(builtins),
    packages: words(packages),
  };
}

/** Folders of src/gate, the lowest first. */
export const modules: Readonly<Record<string, ModuleRule>> = {
  'gate/outcome': rule('', 'class events journal next outcome owner'),
  'gate/lookup': rule('outcome', 'lookup resolve-user', '', 'lru-cache'),
  'gate/pool': rule('outcome lookup', 'dial lease pool upstream'),
  'gate/relay': rule('outcome pool', 'input relay reply-writer'),
  // Requests and grants of access, and locks: who has which, until when.
  'gate/access': rule(
    'outcome',
    'access-item access-words asker desk ending-words hold item live-entry lock locks owner-reports result steps',
  ),
  'gate/command': rule(
    'outcome access lookup pool relay',
    'assessment context count-without-client exchange exchange-records overdue own-commands stated',
  ),
  'gate/login': rule('outcome', 'key-uses logins'),
  'gate/session': rule('outcome relay command login', 'greet-peer refused-peer service'),
  // What is wrong now, and how the last minutes went.
  'gate/now': rule(
    'outcome pool command',
    'found-codes history now operator problems refused-logins running',
  ),
  // What the processes of page and ship may ask, and how they ask it.
  'gate/door': rule(
    'outcome access now',
    'action calls decision door extract-head filter ship trail-filter',
    'http',
    'zod',
  ),
  'gate/telemetry': rule(
    'outcome lookup now door',
    'codes log log-codes loop-lag metrics',
    '',
    'pino prom-client',
  ),
  'gate/admin': rule('outcome now door', 'access admin pages'),
  // It talks to clients, backends and Dovecot's auth service: nothing that talks to a receiver or a browser is here.
  'gate/daemon': rule(
    'outcome lookup pool relay access command login session now door telemetry admin',
    'life serve',
    'path process',
    'zod',
  ),
  // What `doctor` looks at: it dials as the daemon does.
  'gate/health': rule(
    'outcome lookup pool telemetry',
    'backend-look daemon-look dovecot-look look looks others-look start-look',
    'crypto fs path',
  ),
  'gate/begin': rule('health', 'hash-password init key-new move', 'child_process fs path readline stream'),
  'gate/cli': rule('access now health daemon begin', 'serve-command', 'fs path', 'commander zod'),
};

export const builtinsEverywhere: readonly string[] = ['assert'];

/** No file is named so, nor ends in `-` and one of these. */
export const bannedFileNames: readonly string[] =
  'utils util helpers helper common misc shared base types manager index'.split(' ');
