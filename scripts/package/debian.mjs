// Makes the Debian package, by dpkg-deb. xz, because dpkg of Debian 11 reads nothing newer.
//
// The same sources, packages and SOURCE_DATE_EPOCH make the same bytes. DEBFULLNAME and DEBEMAIL are the maintainer of the package.
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { oldestNode, run } from '../setup.mjs';
import {
  description,
  filesBelow,
  fillStage,
  librariesOf,
  maintainerFile,
  packed,
  setTimes,
  sourceDate,
  summary,
  write,
} from './stage.mjs';

const architectures = { x64: 'amd64', arm64: 'arm64' };

const rfc2822 = (date) => date.toUTCString().replace('GMT', '+0000');

function control(stage, { version, architecture, maintainer, hasRuntime }) {
  const { glibc, hasCxx } = librariesOf(stage);
  const needs = [
    ...(hasRuntime ? [] : [`nodejs (>= ${oldestNode})`]),
    `libc6 (>= ${glibc})`,
    ...(hasCxx ? ['libstdc++6'] : []),
    'systemd | systemd-standalone-sysusers',
    'systemd | systemd-standalone-tmpfiles',
  ];
  const bytes = filesBelow(stage).reduce((sum, path) => sum + lstatSync(join(stage, path)).size, 0);
  return `Package: dovegate
Version: ${version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: ${needs.join(', ')}
Recommends: ca-certificates
Suggests: dovecot-core
Section: mail
Priority: optional
Description: ${summary}
${description.replaceAll(/^/gm, ' ')}
`;
}

/** Packs it into `output`; the path of the package. `stage` is a folder that does not exist yet. */
export async function packDebian(output, stage, build) {
  const { version: upstream, hasRuntime } = build;
  const architecture = architectures[build.architecture];
  const seconds = sourceDate();
  const { DEBFULLNAME = 'dovegate', DEBEMAIL = 'dovegate@dovegate.invalid' } = process.env;
  const version = `${upstream}-1`;
  const maintainer = `${DEBFULLNAME} <${DEBEMAIL}>`;
  await fillStage(stage, build, seconds);
  const entry = `dovegate (${version}) unstable; urgency=medium

  * Release ${upstream}; changelog.gz says what changed.

 -- ${maintainer}  ${rfc2822(new Date(seconds * 1000))}
`;
  write(join(stage, 'usr/share/doc/dovegate/changelog.Debian.gz'), packed(entry));
  if (hasRuntime)
    write(
      join(stage, 'usr/share/lintian/overrides/dovegate'),
      maintainerFile('lintian-overrides', { hasRuntime: false }),
    );
  const sums = filesBelow(stage)
    .filter((path) => !path.startsWith('etc/'))
    .map(
      (path) =>
        `${createHash('md5')
          .update(readFileSync(join(stage, path)))
          .digest('hex')}  ${path}\n`,
    );
  const text = control(stage, { version, architecture, maintainer, hasRuntime });
  write(join(stage, 'DEBIAN/control'), text);
  write(join(stage, 'DEBIAN/md5sums'), sums.join(''));
  write(join(stage, 'DEBIAN/conffiles'), '/etc/dovegate/environment\n');
  for (const name of ['postinst', 'prerm', 'postrm'])
    write(join(stage, 'DEBIAN', name), maintainerFile(name, build), 0o755);
  chmodSync(join(stage, 'DEBIAN'), 0o755);
  setTimes(stage, seconds);
  const file = join(output, `dovegate_${version}_${architecture}.deb`);
  const compression = build.compression === '0' ? ['-Znone'] : ['-Zxz', `-z${build.compression}`];
  run('dpkg-deb', ['--root-owner-group', ...compression, '--build', stage, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(seconds), DPKG_DEB_THREADS_MAX: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return file;
}
