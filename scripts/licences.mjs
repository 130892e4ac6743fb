// The packages whose code esbuild took into a bundle, and their licences.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.mjs';

/** Packages of node_modules that files of the bundle come from: name -> folder. */
export function packagesOf(builds) {
  const found = new Map();
  for (const path of builds.flatMap(({ metafile }) => Object.keys(metafile.inputs))) {
    const [folder, name] = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
    if (folder !== undefined) found.set(name, folder);
  }
  return [...found].toSorted(([one], [other]) => (one < other ? -1 : 1));
}

/** The licence of each package whose code is in the bundle: its authors ask that it goes with every copy. */
export function licences(packages) {
  const texts = packages.map(([name, folder]) => {
    const { version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, folder)).find((each) => /^(licen[cs]e|copying)/i.test(each));
    if (file === undefined) throw new Error(`${name}: the package has no text of its licence`);
    return `${name} ${version}: ${license}\n\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`;
  });
  return `Packages whose code is part of the files beside this one, with their licences.\n\n${texts.join(`\n${'='.repeat(80)}\n\n`)}`;
}
