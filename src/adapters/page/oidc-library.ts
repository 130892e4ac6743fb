// Whether the library for OpenID Connect is installed, without loading it.

export const installOidcCommand = 'npm install openid-client@6.9.0';

export function hasOidcLibrary(): boolean {
  try {
    import.meta.resolve('openid-client');
    return true;
  } catch {
    return false;
  }
}
