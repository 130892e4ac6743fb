// Puts the built program, its units and a first configuration in place, and takes them away again. Run by root, or by
// anybody into a folder of his own.
//
//   npm run install:system -- [--prefix DIR] [--destdir DIR] [--node FILE]
//   npm run uninstall:system -- [--prefix DIR] [--destdir DIR]
//
//   PREFIX/lib/dovegate/             dist, config, node_modules of the program alone; PREFIX/bin/dovegate leads there
//   PREFIX/lib/systemd/system/ ...   the units, sysusers.d, tmpfiles.d (below /usr/local/lib where PREFIX is not /usr)
//   PREFIX/share/ ...                completion of dovegate for bash, zsh and fish
//   /etc/dovegate/                   dovegate.yaml, if there is none, and credentials/ (0700)
//
// --prefix DIR     default /usr/local
// --destdir DIR    put in front of every path, for packages
// --node FILE      the Node that the units start; default: the one that runs this
//
// Uninstalling leaves /etc/dovegate, the journal and the user. What is copied is the locked production dependencies, from
// the installed node_modules: nothing is downloaded.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { root } from './setup.mjs';

const usage = 'usage: install.mjs install|uninstall [--prefix DIR] [--destdir DIR] [--node FILE]';
const shipped = { prefix: '/usr/local', node: '/usr/bin/node' };

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
        node: { type: 'string', default: process.execPath },
      },
    });
    const [what, ...more] = positionals;
    if ((what !== 'install' && what !== 'uninstall') || more.length > 0) end(64, usage);
    for (const path of [values.prefix, values.node])
      if (!/^\/[\w./+-]*$/.test(path)) end(64, `${usage}\n${path} is no plain absolute path`);
    return { what, ...values, prefix: values.prefix.replace(/(.)\/+$/, '$1') };
  } catch (error) {
    return end(64, `${usage}\n${error.message}`);
  }
}

const { what, prefix, destdir, node } = readArgs();
// systemd looks for units in these two places only.
const unitsLib = prefix === '/usr' ? '/usr/lib' : '/usr/local/lib';
const program = `${prefix}/lib/dovegate`;
const command = `${prefix}/bin/dovegate`;
const configuration = '/etc/dovegate';
const units = [
  ['dovegate.service', `${unitsLib}/systemd/system/dovegate.service`],
  ['dovegate@.socket', `${unitsLib}/systemd/system/dovegate@.socket`],
  ['sysusers.conf', `${unitsLib}/sysusers.d/dovegate.conf`],
  ['tmpfiles.conf', `${unitsLib}/tmpfiles.d/dovegate.conf`],
];

const share = `${prefix}/share`;
const completions = [
  ['bash', `${share}/bash-completion/completions/dovegate`],
  // zsh of the distribution looks into the folder of packages, and into this one for everything else.
  [
    'zsh',
    prefix === '/usr'
      ? '/usr/share/zsh/vendor-completions/_dovegate'
      : `${share}/zsh/site-functions/_dovegate`,
  ],
  ['fish', `${share}/fish/vendor_completions.d/dovegate.fish`],
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

/** A file or a tree, readable for everybody, whatever the umask of who checked it out. */
function copy(from, to) {
  if (statSync(from).isDirectory()) {
    makeFolder(to);
    // What describes packages to a compiler or a debugger is half of them.
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

/** Folders of the locked packages that the program needs, as far as they are installed (others are for other machines). */
function productionPackages() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const needed = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  const there = needed.filter(([path]) => existsSync(join(root, path)));
  const missing = needed.filter((each) => !there.includes(each) && each[1].optional !== true);
  if (missing.length > 0) end(1, `not installed: ${missing.map(([path]) => path).join(' ')}; run npm ci`);
  return there.map(([path]) => path);
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

async function install() {
  if (/^\/(home|root)\//.test(node))
    end(
      1,
      `${node} is hidden from services (ProtectHome=); install Node for everybody, or name it with --node`,
    );
  if (!existsSync(join(root, 'dist', 'main.js')))
    end(1, 'there is no dist/main.js; run npm ci && npm run build');
  rmSync(at(program), { recursive: true, force: true });
  for (const path of [
    'dist',
    'config',
    'docs',
    'systemd',
    'package.json',
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
  ])
    copy(join(root, path), at(`${program}/${path}`));
  for (const path of productionPackages()) copy(join(root, path), at(`${program}/${path}`));
  chmodSync(at(`${program}/dist/main.js`), 0o755);
  makeFolder(dirname(at(command)));
  rmSync(at(command), { force: true });
  symlinkSync(relative(dirname(command), `${program}/dist/main.js`), at(command));
  for (const [name, path] of units) {
    const text = readFileSync(join(root, 'systemd', name), 'utf8');
    write(
      at(path),
      text.replaceAll(`${shipped.prefix}/lib/dovegate`, program).replaceAll(shipped.node, node),
    );
  }
  // From where it was built: a destination below /proc, as of a container, is no place that Node finds modules in.
  const scripts = await import(pathToFileURL(join(root, 'dist/completion/shell-scripts.js')).href);
  for (const [shell, path] of completions) write(at(path), scripts.shellScript(shell, 'dovegate'));
  makeFolder(at(configuration));
  makeFolder(at(`${configuration}/credentials`), 0o700);
  const file = at(`${configuration}/dovegate.yaml`);
  if (!existsSync(file)) copy(join(root, 'config', 'systemd.example.yaml'), file);
  console.log(`dovegate is in ${at(program)}, its configuration in ${at(configuration)}/dovegate.yaml`);
  if (destdir === '')
    console.log(`next: systemd-sysusers dovegate.conf && systemd-tmpfiles --create dovegate.conf && systemctl daemon-reload
then, when the configuration is yours: systemctl enable --now dovegate@TEAM.socket dovegate.service`);
}

function uninstall() {
  for (const [, path] of [...units, ...completions]) rmSync(at(path), { force: true });
  if (lstatSync(at(command), { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(at(command));
  rmSync(at(program), { recursive: true, force: true });
  // Folders that are empty now may have been made by us.
  for (const [, path] of [...units, ...completions]) removeEmpty(dirname(path));
  console.log(
    `dovegate is removed; left: ${configuration}, /var/lib/dovegate (the journal), the user dovegate`,
  );
}

if (what === 'install') await install();
else uninstall();
