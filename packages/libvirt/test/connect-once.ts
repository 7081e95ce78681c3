// A client in a process of its own: connects to the URI it is given and prints what it found as one line of JSON.
import { connect } from '../src/index.ts';

const connection = await connect(process.argv[2] || undefined, { timeoutMs: 30_000 });
try {
  const [hostname, uri] = [await connection.hostname(), await connection.uriOnServer()];
  process.stdout.write(`${JSON.stringify({ hostname, uri })}\n`);
} finally {
  await connection.close();
}
