// The bill of materials of a build, CycloneDX 1.6: each package of which the bundle has code, and each that an installation puts beside it,
// with its version, licence and digest, all from the lockfile. It has no timestamp and no random value, so that the same
// sources give the same bytes.
import { createHash } from 'node:crypto';
import { pathsBeside, placeOf } from './packed.mjs';

const purlOf = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`;

/** An expression of SPDX has blanks; what else stands there is an id. */
const licenceOf = (text) => (text.includes(' ') ? { expression: text } : { license: { id: text } });

/** `sha512-BASE64` of the lockfile, as CycloneDX writes it. */
function hashesOf(integrity) {
  return integrity.split(' ').map((each) => {
    const [name, digest] = each.split(/-(.*)/s);
    return { alg: name.replace('sha', 'SHA-'), content: Buffer.from(digest, 'base64').toString('hex') };
  });
}

/** `bundled`: the folders of the packages whose code is part of the bundle. Returns the text of the file. */
export function makeSbom(lockfile, bundled) {
  const { packages } = lockfile;
  const { name, version, license } = packages[''];
  const nameOf = (path) => path.replace(/^.*node_modules\//, '');
  const beside = pathsBeside(packages, new Set(bundled.map(nameOf)));
  const parts = Object.entries(packages)
    .filter(([path]) => beside.has(path) || bundled.includes(path))
    .map(([path, each]) => {
      if (each.license === undefined) throw new Error(`${path}: the lockfile names no licence`);
      const reference = purlOf(nameOf(path), each.version);
      return {
        path,
        each,
        component: {
          type: 'library',
          'bom-ref': reference,
          name: nameOf(path),
          version: each.version,
          scope: each.optional === true ? 'optional' : 'required',
          hashes: hashesOf(each.integrity),
          licenses: [licenceOf(each.license)],
          purl: reference,
          properties: [{ name: 'dovegate:bundled', value: String(bundled.includes(path)) }],
        },
      };
    });
  const missing = bundled.filter((path) => !parts.some((part) => part.path === path));
  if (missing.length > 0) throw new Error(`not in the lockfile: ${missing.join(', ')}`);
  const byPath = new Map(parts.map(({ path, component }) => [path, component['bom-ref']]));
  const neededBy = (path, { dependencies, optionalDependencies }) => [
    ...new Set(
      Object.keys({ ...dependencies, ...optionalDependencies }).flatMap(
        (wanted) => byPath.get(placeOf(packages, path, wanted)) ?? [],
      ),
    ),
  ];
  const reference = purlOf(name, version);
  const own = [...new Set([...neededBy('', packages['']), ...bundled.map((path) => byPath.get(path))])];
  const body = {
    metadata: {
      component: {
        type: 'application',
        'bom-ref': reference,
        name,
        version,
        licenses: [licenceOf(license)],
        purl: reference,
      },
    },
    components: parts.map(({ component }) => component),
    dependencies: [
      { ref: reference, dependsOn: own },
      ...parts.map(({ path, each, component }) => ({
        ref: component['bom-ref'],
        dependsOn: neededBy(path, each),
      })),
    ],
  };
  // A version 8 UUID (RFC 9562) of the content: two files with one number are the same file.
  const hex = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  const serial = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${serial}`,
    version: 1,
    ...body,
  };
  return `${JSON.stringify(bom, undefined, 1)}\n`;
}
