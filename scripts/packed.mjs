// The npm package as a folder: `node scripts/packed.mjs FOLDER [VERSION]`, of the built program.
//
// The package.json of the checkout lists all that runs, so that scanners and readers see it. Most of that is code in the bundle; the one of
// the package lists only what an installation puts beside it. Nothing changes the files of the checkout.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './setup.mjs';

const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));
const written = (value) => `${JSON.stringify(value, undefined, 2)}\n`;

/** Where Node finds a package for the one at `path`, in the packages of a lockfile. Undefined: nowhere. */
export function placeOf(packages, path, wanted) {
  for (let at = path; ; at = at.replace(/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+$/, '')) {
    const place = `${at === '' ? '' : `${at}/`}node_modules/${wanted}`;
    if (Object.hasOwn(packages, place)) return place;
    if (at === '') return undefined;
  }
}

/** What an installation puts beside the program: without the packages whose names are in `bundled`. */
export function besideOf(manifest, bundled) {
  const dependencies = Object.entries(manifest.dependencies).filter(([name]) => !bundled.has(name));
  return {
    dependencies: Object.fromEntries(dependencies),
    optionalDependencies: manifest.optionalDependencies,
  };
}

/** The paths of these packages in a lockfile, with all that they need. */
export function pathsBeside(packages, bundled) {
  const paths = new Set();
  const add = (path, { dependencies, optionalDependencies }) => {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const place = placeOf(packages, path, name);
      if (place === undefined || paths.has(place)) continue;
      paths.add(place);
      add(place, packages[place]);
    }
  };
  add('', besideOf(packages[''], bundled));
  return paths;
}

/** The names of the packages whose code is in dist/. */
function bundledNames() {
  const { components } = read('dist/sbom.cdx.json');
  const isBundled = ({ properties }) => properties.some(({ value }) => value === 'true');
  return new Set(components.filter(isBundled).map(({ name }) => name));
}

/** Fills `folder`, which need not exist; with its lockfile, which npm leaves out of a tarball. `version`: default that of the checkout. */
export function makePacked(folder, version) {
  const manifest = read('package.json');
  const bundled = bundledNames();
  mkdirSync(folder, { recursive: true });
  for (const path of manifest.files.filter((each) => existsSync(join(root, each)))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(root, path), join(folder, path), { recursive: true });
  }
  const { private: _private, scripts, devDependencies: _tools, ...kept } = manifest;
  const install = Object.entries(scripts).filter(([name]) => name.endsWith(':system'));
  const own = {
    ...kept,
    version: version ?? manifest.version,
    scripts: Object.fromEntries(install),
    ...besideOf(manifest, bundled),
  };
  writeFileSync(join(folder, 'package.json'), written(own));
  const lock = read('package-lock.json');
  const beside = pathsBeside(lock.packages, bundled);
  const { devDependencies: _locked, ...top } = lock.packages[''];
  const first = { ...top, version: own.version, ...besideOf(manifest, bundled) };
  const locked = Object.entries(lock.packages).filter(([path]) => beside.has(path));
  const packages = Object.fromEntries([['', first], ...locked]);
  writeFileSync(join(folder, 'package-lock.json'), written({ ...lock, version: own.version, packages }));
}

if (process.argv[1] === import.meta.filename) {
  const [folder, version] = process.argv.slice(2);
  if (folder === undefined) {
    console.error('usage: node scripts/packed.mjs FOLDER [VERSION]');
    process.exit(64);
  }
  makePacked(folder, version);
}
