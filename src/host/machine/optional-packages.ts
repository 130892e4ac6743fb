// The packages that only some parts of dovegate need: whether they are installed, without loading them, and how to install them.

const packages = {
  aws4fetch: { version: '1.0.20', find: () => import.meta.resolve('aws4fetch') },
  nodemailer: { version: '10.6.1', find: () => import.meta.resolve('nodemailer') },
  'openid-client': { version: '6.9.0', find: () => import.meta.resolve('openid-client') },
};

export type OptionalPackage = keyof typeof packages;

export function isInstalled(name: OptionalPackage): boolean {
  try {
    packages[name].find();
    return true;
  } catch {
    return false;
  }
}

export function installCommand(name: OptionalPackage): string {
  return `npm install ${name}@${packages[name].version}`;
}

export function howToInstall(name: OptionalPackage): string {
  return `run \`${installCommand(name)}\` where dovegate is installed`;
}
