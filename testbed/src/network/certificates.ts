// A certificate authority for one test, with a server and a client certificate for localhost.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../process/run.ts';

const DAYS = ['-days', '2'];

/** Fills a directory with what tls-creds-x509 expects of either end. */
export async function makeCertificates(directory: string): Promise<void> {
  const path = (name: string) => join(directory, name);
  const newKey = (name: string) => ['-newkey', 'rsa:2048', '-nodes', '-keyout', path(`${name}-key.pem`)];
  const root = ['-out', path('ca-cert.pem'), ...DAYS, '-subj', '/CN=ca'];
  await run(['openssl', 'req', '-x509', ...newKey('ca'), ...root]);
  for (const end of ['server', 'client']) {
    await run(['openssl', 'req', ...newKey(end), '-out', path('request'), '-subj', '/CN=localhost']);
    const extensions = [
      'subjectAltName=DNS:localhost',
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=digitalSignature,keyEncipherment',
      `extendedKeyUsage=${end}Auth`,
    ];
    await writeFile(path('extensions'), extensions.join('\n'));
    const authority = ['-CA', path('ca-cert.pem'), '-CAkey', path('ca-key.pem'), '-CAcreateserial'];
    const out = ['-out', path(`${end}-cert.pem`), ...DAYS, '-extfile', path('extensions')];
    await run(['openssl', 'x509', '-req', '-in', path('request'), ...authority, ...out]);
  }
}
