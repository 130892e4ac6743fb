// Puts the built program, its units and a first configuration in place, and takes them away again. Run by root, or by
// anybody into a folder of his own.
//
//   npm run install:system -- [--prefix DIR] [--destdir DIR] [--node FILE] [--doveadm]
//   npm run uninstall:system -- [--prefix DIR] [--destdir DIR]      (install.sh of a release archive does both with a Node of its own)
//
//   PREFIX/lib/dovegate/             the files of the package, and the packages that it needs; PREFIX/bin/dovegate leads there
//   PREFIX/lib/dovegate/bin/doveadm  the drop-in, a folder for PATH; the real doveadm keeps its place
//   PREFIX/lib/systemd/system/ ...   the units, sysusers.d, tmpfiles.d (below /usr/local/lib where PREFIX is not /usr)
//   PREFIX/share/ ...                completion of dovegate for bash, zsh and fish
//   /etc/dovegate/                   credentials/ (0700); with --destdir also an example of dovegate.yaml, if there is none
//
// --prefix DIR     default /usr/local
// --destdir DIR    put in front of every path, for packages
// --node FILE      the Node that dovegate and its units run on; default: that of the archive, runtime/node, else the one that runs this
// --doveadm        for a host without Dovecot: the name doveadm too, as a command and for completion; never in the place of another one
//
// Uninstalling takes both names away, and leaves /etc/dovegate, the journal and the users. It names the files of Dovecot that need that
// user, with what removes them (dovecot-files.sh). It runs from a checkout that was built, and from
// an unpacked package; without --destdir it makes the users too. Dependencies are copied from where they are installed: nothing is
// downloaded.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const usage = 'usage: install.mjs install|uninstall [--prefix DIR] [--destdir DIR] [--node FILE] [--doveadm]';
const shipped = { prefix: '/usr/local', node: '/usr/bin/node' };
/** Below the program: the Node that came with it, in a release archive and in packages. */
const runtime = 'runtime/node';

function end(code, message) {
  console.error(message);
  process.exit(code);
}

function readArgs() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        prefix: { type: 'string', default: shipped.prefix },
        destdir: { type: 'string', default: '' },
        node: { type: 'string' },
        doveadm: { type: 'boolean', default: false },
      },
    });
    const [what, ...more] = positionals;
    if ((what !== 'install' && what !== 'uninstall') || more.length > 0) end(64, usage);
    const prefix = values.prefix.replace(/(.)\/+$/, '$1');
    const own = existsSync(join(root, runtime)) ? `${prefix}/lib/dovegate/${runtime}` : process.execPath;
    const node = values.node ?? own;
    for (const path of [prefix, node])
      if (!/^\/[\w./+-]*$/.test(path)) end(64, `${usage}\n${path} is no plain absolute path`);
    return { what, ...values, prefix, node };
  } catch (error) {
    return end(64, `${usage}\n${error.message}`);
  }
}

const { what, prefix, destdir, node, doveadm } = readArgs();
// systemd looks for units in these two places only.
const unitsLib = prefix === '/usr' ? '/usr/lib' : '/usr/local/lib';
/** People who may connect to the socket of the page. */
const people = 'dovegate-people';
/** Who reads the whole journal. */
const journal = 'dovegate-journal';
const program = `${prefix}/lib/dovegate`;
const main = `${program}/dist/main.js`;
const configuration = '/etc/dovegate';
/** Of the journal and of keys. */
const stateFolder = '/var/lib/dovegate';
const units = [
  ['dovegate.service', `${unitsLib}/systemd/system/dovegate.service`],
  ['dovegate-fleet.service', `${unitsLib}/systemd/system/dovegate-fleet.service`],
  ['dovegate-page.service', `${unitsLib}/systemd/system/dovegate-page.service`],
  ['dovegate-page.socket', `${unitsLib}/systemd/system/dovegate-page.socket`],
  ['dovegate-ship.path', `${unitsLib}/systemd/system/dovegate-ship.path`],
  ['dovegate-ship.service', `${unitsLib}/systemd/system/dovegate-ship.service`],
  ['dovegate@.socket', `${unitsLib}/systemd/system/dovegate@.socket`],
  ['sysusers.conf', `${unitsLib}/sysusers.d/dovegate.conf`],
  ['tmpfiles.conf', `${unitsLib}/tmpfiles.d/dovegate.conf`],
];

const share = `${prefix}/share`;
// zsh of the distribution looks into the folder of packages, and into this one for everything else.
const zsh = prefix === '/usr' ? '/usr/share/zsh/vendor-completions' : `${share}/zsh/site-functions`;
const commandOf = (name) => `${prefix}/bin/${name}`;
const completionsOf = (name) => [
  ['bash', `${share}/bash-completion/completions/${name}`],
  ['zsh', `${zsh}/_${name}`],
  ['fish', `${share}/fish/vendor_completions.d/${name}.fish`],
];

/** A path below the destination. */
const at = (path) => (destdir === '' ? path : join(destdir, path));

function makeFolder(path, mode = 0o755) {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
  // The umask of whoever installs is not for those who run it.
  chmodSync(path, mode);
}

// What a program does not need of a package: its tests and papers, the sources of its compiled part, that part for another C library.
const strangeLibc = process.report.getReport().header.glibcVersionRuntime === undefined ? 'linux' : 'musl';
const unusedFolders = /^(tests?|bench|benchmarks|docs?|examples?|scripts|vendor|native)$/;
const unusedFiles =
  /^\.|\.(md|markdown|cc|hh?|c|S|asm|inc|def|gyp|txt|ya?ml|html|png|ico|zip|sh)$|^(makefile|dockerfile)$/i;
const papers = /^(licen[cs]e|copying|notice)/i;

/** `path`: of a file or folder, within its package. */
function isUnused(name, path, isFolder) {
  if (papers.test(name)) return false;
  if (!isFolder) return unusedFiles.test(name);
  // `dist/doc` of a package is code.
  const isOuter = path === name || path.startsWith('lib/');
  return name.startsWith('.') || name.startsWith(`${strangeLibc}_`) || (isOuter && unusedFolders.test(name));
}

/** A package, as far as a program uses it. */
function copyPackage(from, to, folder = '') {
  for (const entry of readdirSync(join(from, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (/\.(map|[cm]?ts)$|^node_modules$/.test(entry.name)) continue;
    if (isUnused(entry.name, path, entry.isDirectory())) continue;
    // A package in both formats: only the one that `import` finds is loaded.
    if (path === join('dist', 'cjs') && existsSync(join(from, 'dist', 'esm'))) continue;
    if (entry.isDirectory()) copyPackage(from, to, path);
    else copy(join(from, path), join(to, path));
  }
}

/** A file or a tree, readable for everybody, whatever the umask of who checked it out. */
function copy(from, to) {
  if (statSync(from).isDirectory()) {
    makeFolder(to);
    // What describes a program to a compiler or a debugger is half of it.
    const names = readdirSync(from).filter((name) => !/\.(map|[cm]?ts)$/.test(name));
    for (const name of names) copy(join(from, name), join(to, name));
  } else {
    makeFolder(dirname(to));
    copyFileSync(from, to);
    chmodSync(to, 0o644);
  }
}

function write(path, text) {
  makeFolder(dirname(path));
  writeFileSync(path, text);
  chmodSync(path, 0o644);
}

const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** Where Node finds a package for a file in `folder`; undefined: nowhere. */
function findPackage(name, folder) {
  const path = join(folder, 'node_modules', name);
  if (existsSync(join(path, 'package.json'))) return realpathSync(path);
  return dirname(folder) === folder ? undefined : findPackage(name, dirname(folder));
}

/**
 * The packages that the program needs, as they are installed: folder below the program -> where it is now. In a checkout they lie in
 * its node_modules, as npm ci put them there; in a project that installed dovegate, beside it. Optional ones that are not
 * installed are for other machines.
 */
function productionPackages() {
  // The package.json of a checkout lists these too.
  const { components } = JSON.parse(readFileSync(join(root, 'dist/sbom.cdx.json'), 'utf8'));
  const isBundled = ({ properties }) => properties.some(({ value }) => value === 'true');
  const bundled = new Set(components.filter(isBundled).map(({ name }) => name));
  const placed = new Map();
  const missing = [];
  const waiting = [{ source: realpathSync(root), target: '' }];
  for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
    const { dependencies = {}, optionalDependencies = {} } = manifestOf(each.source);
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (each.target === '' && bundled.has(name)) continue;
      const source = findPackage(name, each.source);
      if (source === undefined) {
        if (!(name in optionalDependencies)) missing.push(name);
        continue;
      }
      // Another version of it may already be at the top.
      const top = join('node_modules', name);
      const target = [undefined, source].includes(placed.get(top)) ? top : join(each.target, top);
      if (placed.has(target)) continue;
      placed.set(target, source);
      waiting.push({ source, target });
    }
  }
  if (missing.length > 0)
    end(
      1,
      `not installed: ${missing.join(' ')}; run npm ci (in an unpacked package: npm install --omit=dev)`,
    );
  return placed;
}

/** Whether there is nothing, or a link to the program: what else has the name is somebody else's. */
function isFree(command) {
  const found = lstatSync(at(command), { throwIfNoEntry: false });
  if (found === undefined) return true;
  return found.isSymbolicLink() && readlinkSync(at(command)) === linkFrom(command);
}

const linkFrom = (command) => relative(dirname(command), main);

/** The same for a completion script. */
function isFreeScript(path) {
  return !existsSync(at(path)) || readFileSync(at(path), 'utf8').includes('made by dovegate completion');
}

/** The command and its completion. */
function putName(name) {
  const command = commandOf(name);
  makeFolder(dirname(at(command)));
  rmSync(at(command), { force: true });
  symlinkSync(linkFrom(command), at(command));
  for (const [shell, path] of completionsOf(name)) {
    if (isFreeScript(path)) write(at(path), completionScript(shell, name));
    else console.log(`left as it is, since it is not of dovegate: ${at(path)}`);
  }
}

function completionScript(shell, name) {
  const args = [join(root, 'dist/main.js'), 'completion', shell, '--name', name];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) end(1, `dovegate completion ${shell}: ${stderr}`);
  return stdout;
}

function takeName(name) {
  for (const [, path] of completionsOf(name)) if (isFreeScript(path)) rmSync(at(path), { force: true });
  if (isFree(commandOf(name))) rmSync(at(commandOf(name)), { force: true });
}

/** A folder below the units' own place and those above it, as far as nobody else has something there. */
function removeEmpty(path) {
  if (path === unitsLib || path === share || path === '/') return;
  try {
    rmdirSync(at(path));
  } catch {
    return;
  }
  removeEmpty(dirname(path));
}

function install() {
  if (/^\/(home|root)\//.test(node))
    end(
      1,
      `${node} is hidden from services (ProtectHome=); install Node for everybody, or name it with --node`,
    );
  if (!existsSync(join(root, 'dist', 'main.js')))
    end(1, 'there is no dist/main.js; run npm ci && npm run build');
  if (doveadm && !isFree(commandOf('doveadm')))
    end(
      1,
      `${at(commandOf('doveadm'))} is there already, and not dovegate's; --doveadm is for hosts without Dovecot`,
    );
  const packages = productionPackages();
  // Beside the old program first: this may be that program itself, installed anew, and a copy that fails leaves it in its place.
  const fresh = `${program}.new`;
  rmSync(at(fresh), { recursive: true, force: true });
  for (const path of [...manifestOf(root).files, 'package.json'])
    copy(join(root, path), at(`${fresh}/${path}`));
  for (const [path, source] of packages) copyPackage(source, at(`${fresh}/${path}`));
  if (node === `${program}/${runtime}`) {
    copy(join(root, dirname(runtime)), at(`${fresh}/${dirname(runtime)}`));
    chmodSync(at(`${fresh}/${runtime}`), 0o755);
  }
  // PATH may name another Node first.
  const ours = readFileSync(join(root, 'dist/main.js'), 'utf8').replace(/^#!.*/, `#!${node}`);
  write(at(`${fresh}/dist/main.js`), ours);
  chmodSync(at(`${fresh}/dist/main.js`), 0o755);
  makeFolder(at(`${fresh}/bin`));
  symlinkSync('../dist/main.js', at(`${fresh}/bin/doveadm`));
  rmSync(at(program), { recursive: true, force: true });
  renameSync(at(fresh), at(program));
  for (const [name, path] of units) {
    const text = readFileSync(join(root, 'systemd', name), 'utf8');
    write(
      at(path),
      text.replaceAll(`${shipped.prefix}/lib/dovegate`, program).replaceAll(shipped.node, node),
    );
  }
  // From where it was built: a destination below /proc, as of a container, is no place that Node finds modules in.
  putName('dovegate');
  if (doveadm) putName('doveadm');
  makeFolder(at(configuration));
  makeFolder(at(`${configuration}/credentials`), 0o700);
  const file = at(`${configuration}/dovegate.yaml`);
  // On this machine `dovegate init` writes it.
  if (destdir !== '' && !existsSync(file)) copy(join(root, 'config', 'systemd.example.yaml'), file);
  console.log(`dovegate is in ${at(program)}, its configuration in ${at(configuration)}/dovegate.yaml`);
  if (destdir !== '') return;
  prepareSystem();
  console.log(
    existsSync(file)
      ? 'next: dovegate doctor'
      : 'next: dovegate init (it asks five questions, and writes the configuration)',
  );
}

/** The users and the folder of sockets; systemd reads the units. What does not work is named, with what to type. */
function prepareSystem() {
  const passes = (name, ...args) => spawnSync(name, args, { stdio: 'ignore' }).status === 0;
  const works = (name, ...args) => spawnSync(name, args, { stdio: 'inherit' }).status === 0;
  if (!works('systemd-sysusers', 'dovegate.conf')) makeUsers(passes, works);
  callShell('old-systemd.sh', 'match_systemd', [], 'inherit');
  if (!works('systemd-tmpfiles', '--create', 'dovegate.conf'))
    console.log('make its folder after each start of the machine: install -d -o dovegate /run/dovegate');
  // As the unit makes it at its start; a daemon that is started by hand needs it too. One that is there keeps its owner and mode.
  const state = ['install', '-d', '-o', 'dovegate', '-g', 'dovegate', '-m', '0711', stateFolder];
  if (!existsSync(stateFolder) && !works(...state))
    console.log(`this did not work, and is needed: ${state.join(' ')}`);
  if (existsSync('/run/systemd/system')) works('systemctl', 'daemon-reload');
}

/** What sysusers.conf says, where systemd-sysusers is not. */
function makeUsers(passes, works) {
  const system = ['useradd', '--system', '--no-create-home'];
  const todo = [
    [passes('id', 'dovegate'), [...system, '--home-dir', '/var/lib/dovegate', 'dovegate']],
    [passes('id', 'dovegate-page'), [...system, '--home-dir', '/', '--user-group', 'dovegate-page']],
    [passes('id', 'dovegate-ship'), [...system, '--home-dir', '/', '--user-group', 'dovegate-ship']],
    [passes('getent', 'group', journal), ['groupadd', '--system', journal]],
    [false, ['usermod', '--append', '--groups', `dovegate-page,dovegate-ship,${journal}`, 'dovegate']],
    [false, ['usermod', '--append', '--groups', journal, 'dovegate-page']],
    [false, ['usermod', '--append', '--groups', journal, 'dovegate-ship']],
    [passes('getent', 'group', people), ['groupadd', '--system', people]],
  ];
  for (const [isDone, command] of todo)
    if (!isDone && !works(...command)) console.log(`this did not work, and is needed: ${command.join(' ')}`);
}

/** Calls a function of a file of scripts/ that the packages' scripts have too. */
function callShell(file, name, args, stdout) {
  const call = ['-c', `. "$0"; ${name} "$@"`, join(root, 'scripts', file), ...args];
  return spawnSync('sh', call, { encoding: 'utf8', stdio: ['ignore', stdout, 'inherit'] });
}

function uninstall() {
  const inDovecot = callShell('dovecot-files.sh', 'name_dovecot_files', [destdir], 'pipe');
  if (destdir === '') callShell('old-systemd.sh', 'match_systemd', ['remove'], 'inherit');
  for (const [, path] of units) rmSync(at(path), { force: true });
  const names = ['dovegate', 'doveadm'];
  for (const name of names) takeName(name);
  rmSync(at(program), { recursive: true, force: true });
  // Folders that are empty now may have been made by us.
  for (const [, path] of [...units, ...names.flatMap(completionsOf)]) removeEmpty(dirname(path));
  console.log(
    `dovegate is removed; left: ${configuration}, /var/lib/dovegate (the journal), the users dovegate, dovegate-page and dovegate-ship`,
  );
  process.stdout.write(inDovecot.stdout ?? '');
}

if (what === 'install') install();
else uninstall();
