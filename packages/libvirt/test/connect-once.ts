// A client in a process of its own: connects to the URI it is given, or to none, and prints what it found, or why it
// could not, as one line of JSON.
import { connect, isLibvirtError } from '../src/index.ts';

async function report(): Promise<object> {
  const connection = await connect(process.argv[2], { timeoutMs: 30_000 });
  try {
    // Makes the daemon log an error.
    const refused = await connection.defineDomainXml('<domain/>').catch(isLibvirtError);
    return { hostname: await connection.hostname(), uri: await connection.uriOnServer(), refused };
  } finally {
    await connection.close();
  }
}

const found = await report().catch((error: unknown) => ({ error: String(error) }));
process.stdout.write(`${JSON.stringify(found)}\n`);
