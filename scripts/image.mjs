// Puts the root of the container image together, for the last stage of the Dockerfile: the program with its Node and the shared libraries
// that the two need, users, certificate authorities, and the folders that are written to. No shell and no other program of the system.
//
//   node scripts/image.mjs SYSTEM FOLDER
//
// SYSTEM is the root of a Debian, from which the libraries are copied. The image is for its architecture, which need not be that of this
// machine, since none of its programs is run. FOLDER does not exist yet. Needs the built program, and root for the owners of files.
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { isElf, readElf } from './package/elf.mjs';
import { installTree, makeTree } from './package/tree.mjs';
import { root } from './setup.mjs';

/** Architecture as Node names it -> the folder of its libraries. */
const triplets = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/**
 * By number, so that volumes and Kubernetes can name them. A container that runs `page` is 10002, one that runs `ship` is 10003. The
 * daemon must be in their groups then, since it gives them their doors, and all of them in the last one, which may read the journal.
 */
const [dovegate, page, ship, journal] = [10001, 10002, 10003, 10004];

/** They give fresh volumes their owner. The state may be passed, not listed: the journal below it has its own mode (audit.group). */
const folders = [
  ['/etc/dovegate', 0, 0o755],
  ['/run/dovegate', dovegate, 0o755],
  ['/run/dovegate-door', dovegate, 0o755],
  ['/run/dovegate-page', page, 0o700],
  ['/run/dovegate-ship', dovegate, 0o755],
  ['/var/lib/dovegate-ship', ship, 0o700],
  ['/var/lib/dovegate', dovegate, 0o711],
  ['/var/lib/dovegate/audit', dovegate, 0o700],
];

const files = {
  '/etc/passwd': `root:x:0:0:root:/root:/usr/sbin/nologin
dovegate:x:${dovegate}:${dovegate}::/var/lib/dovegate:/usr/sbin/nologin
dovegate-page:x:${page}:${page}::/:/usr/sbin/nologin
dovegate-ship:x:${ship}:${ship}::/:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`,
  '/etc/group': `root:x:0:
dovegate:x:${dovegate}:
dovegate-page:x:${page}:dovegate
dovegate-ship:x:${ship}:dovegate
dovegate-journal:x:${journal}:dovegate,dovegate-page,dovegate-ship
nogroup:x:65534:
`,
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

const [system, folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node scripts/image.mjs SYSTEM FOLDER');
  process.exit(64);
}
/** Where a library of the system is; undefined: it has none. */
const findLibrary = (triplet, name) =>
  ['lib', 'usr/lib'].map((each) => join(system, each, triplet, name)).find((path) => existsSync(path));
const [architecture, triplet] =
  Object.entries(triplets).find(([, each]) => findLibrary(each, 'libc.so.6') !== undefined) ?? [];
if (architecture === undefined)
  throw new Error(`${system} has no C library of ${Object.values(triplets).join(' or ')}`);
process.umask(0o022);

/** A folder of the image, with those above it. */
function makeFolder(path) {
  mkdirSync(join(folder, path), { recursive: true });
}

function write(path, text) {
  makeFolder(dirname(path));
  writeFileSync(join(folder, path), text);
}

/** The program as the packages have it, and nothing for systemd or shells. */
function putProgram() {
  const [tree, installed] = [`${folder}.tree`, `${folder}.installed`];
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const build = { version, architecture, hasRuntime: true };
  makeTree(tree, build);
  installTree(tree, installed, build);
  makeFolder('usr/lib');
  renameSync(join(installed, 'usr/lib/dovegate'), join(folder, 'usr/lib/dovegate'));
  rmSync(installed, { recursive: true });
  makeFolder('usr/bin');
  symlinkSync('../lib/dovegate/dist/main.js', join(folder, 'usr/bin/dovegate'));
  symlinkSync('../lib/dovegate/runtime/node', join(folder, 'usr/bin/node'));
}

/** The shared libraries of all programs in the image, and theirs, and the loader where programs look for it. Returns their names. */
function putLibraries() {
  const elves = readdirSync(folder, { recursive: true })
    .filter((path) => lstatSync(join(folder, path)).isFile())
    .map((path) => ({ path, bytes: readFileSync(join(folder, path)) }))
    .filter(({ bytes }) => isElf(bytes))
    .map(({ path, bytes }) => ({ path, ...readElf(bytes) }));
  const foreign = elves.find(({ machine }) => machine !== architecture);
  if (foreign !== undefined)
    throw new Error(`${foreign.path} is for ${foreign.machine}, not ${architecture}`);
  const loader = elves.find(({ interpreter }) => interpreter !== undefined).interpreter;
  const waiting = [basename(loader), ...elves.flatMap(({ needed }) => needed)];
  const done = new Set();
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    if (done.has(name)) continue;
    done.add(name);
    const place = name === basename(loader) ? loader : `/usr/lib/${triplet}/${name}`;
    const found = findLibrary(triplet, name);
    if (found === undefined) throw new Error(`${system} has no ${name} of ${triplet}`);
    makeFolder(dirname(place));
    copyFileSync(found, join(folder, place));
    chmodSync(join(folder, place), 0o755);
    waiting.push(...readElf(readFileSync(found)).needed);
  }
  return done;
}

/**
 * The packages of Debian that have these libraries, as scanners for vulnerable packages read it in images without dpkg, and their licences.
 */
function namePackages(libraries) {
  const info = join(system, 'var/lib/dpkg/info');
  if (!existsSync(info)) return;
  write('/etc/os-release', readFileSync(join(system, 'etc/os-release')));
  const all = readFileSync(join(system, 'var/lib/dpkg/status'), 'utf8').split('\n\n');
  const isOurs = (path) => basename(dirname(path)) === triplet && libraries.has(basename(path));
  for (const file of readdirSync(info)) {
    if (!file.endsWith('.list') || !readFileSync(join(info, file), 'utf8').split('\n').some(isOurs)) continue;
    const name = file.replace(/(:\w+)?\.list$/, '');
    const status = all.find((each) => each.startsWith(`Package: ${name}\n`));
    write(`/var/lib/dpkg/status.d/${name}`, `${status}\n`);
    const licence = join(system, 'usr/share/doc', name, 'copyright');
    if (existsSync(licence)) write(`/usr/share/doc/${name}/copyright`, readFileSync(licence));
  }
}

mkdirSync(folder, { recursive: true });
putProgram();
namePackages(putLibraries());
for (const [path, text] of Object.entries(files)) write(path, text);
// Slim images have no list of their own: it is Mozilla's then, as Node has it.
const list = '/etc/ssl/certs/ca-certificates.crt';
const ofSystem = join(system, list);
write(list, existsSync(ofSystem) ? readFileSync(ofSystem) : `${rootCertificates.join('\n')}\n`);
for (const [path, owner, mode] of folders) {
  makeFolder(path);
  chownSync(join(folder, path), owner, owner);
  chmodSync(join(folder, path), mode);
}
