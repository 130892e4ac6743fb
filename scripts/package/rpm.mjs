// Makes the rpm of the same files, by rpmbuild, whatever architecture this machine has. Its scripts are those of the Debian package, called
// with the words that dpkg would give them. DEBFULLNAME and DEBEMAIL are the packager.
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { oldestNode, run } from '../setup.mjs';
import {
  description,
  fillStage,
  librariesOf,
  maintainerFile,
  setTimes,
  sourceDate,
  summary,
  write,
} from './stage.mjs';

const architectures = { x64: 'x86_64', arm64: 'aarch64' };

/** A maintainer script after `words`, which make of rpm's count of versions what dpkg says. */
function scriptlet(name, words, build) {
  const text = maintainerFile(name, build)
    .replace(/^#!.*\n/, '')
    .replaceAll('deb-systemd-invoke restart', 'systemctl try-restart')
    .replaceAll('deb-systemd-invoke start', 'systemctl start')
    .replaceAll('%', '%%');
  return `${words}\n${text}`;
}

function spec({ build, stage, architecture }) {
  const { glibc } = librariesOf(stage);
  const needs = build.hasRuntime
    ? [`libc.so.6(GLIBC_${glibc})(64bit)`, 'libstdc++.so.6()(64bit)']
    : [`nodejs >= ${oldestNode}`];
  return `Name: dovegate
Version: ${build.version}
Release: 1
Summary: ${summary}
License: Apache-2.0
Group: System Environment/Daemons
Requires: ${[...needs, 'systemd'].join(', ')}
AutoReqProv: no
%define debug_package %{nil}
%define __os_install_post %{nil}
%define _build_id_links none
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define _buildhost localhost
%define _binary_payload ${build.compression === '0' ? 'w.ufdio' : `w${build.compression}.xzdio`}
%define _target_cpu ${architecture}

%description
${description}

%install
cp -a ${stage}/. %{buildroot}/

%files
%defattr(-,root,root,-)
/usr/bin/dovegate
/usr/lib/dovegate
/usr/lib/systemd/system/dovegate*
/usr/lib/systemd/system-preset/90-dovegate.preset
/usr/lib/sysusers.d/dovegate.conf
/usr/lib/tmpfiles.d/dovegate.conf
/usr/share/bash-completion/completions/dovegate
/usr/share/zsh/site-functions/_dovegate
/usr/share/fish/vendor_completions.d/dovegate.fish
%doc /usr/share/doc/dovegate
%doc /usr/share/man/man1/dovegate.1.gz
%doc /usr/share/man/man1/doveadm-dovegate.1.gz
%doc /usr/share/man/man5/dovegate.yaml.5.gz
%dir /etc/dovegate
%dir %attr(0700,root,root) /etc/dovegate/credentials
%config(noreplace) /etc/dovegate/environment

%post
${scriptlet('postinst', 'if [ "$1" -gt 1 ]; then set -- configure before; else set -- configure ""; fi', build)}
%preun
${scriptlet('prerm', 'if [ "$1" = 0 ]; then set -- remove; else set -- upgrade; fi', build)}
%postun
${scriptlet('postrm', 'if [ "$1" = 0 ]; then set -- remove; else set -- upgrade; fi', build)}
`;
}

/** Packs it into `output`; the path of the package. `stage` is a folder that does not exist yet. */
export async function packRpm(output, stage, build) {
  const architecture = architectures[build.architecture];
  const seconds = sourceDate();
  await fillStage(stage, build, seconds);
  const zsh = join(stage, 'usr/share/zsh');
  mkdirSync(join(zsh, 'site-functions'));
  renameSync(join(zsh, 'vendor-completions/_dovegate'), join(zsh, 'site-functions/_dovegate'));
  rmSync(join(zsh, 'vendor-completions'), { recursive: true });
  setTimes(stage, seconds);
  const top = `${stage}.rpmbuild`;
  write(join(top, 'dovegate.spec'), spec({ build, stage, architecture }));
  const define = (text) => ['--define', text];
  run(
    'rpmbuild',
    [
      '-bb',
      '--quiet',
      '--target',
      architecture,
      ...define(`_topdir ${top}`),
      ...define(`_dbpath ${join(top, 'db')}`),
      join(top, 'dovegate.spec'),
    ],
    { env: { ...process.env, SOURCE_DATE_EPOCH: String(seconds) }, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const file = `dovegate-${build.version}-1.${architecture}.rpm`;
  cpSync(join(top, 'RPMS', architecture, file), join(output, file));
  return join(output, file);
}
