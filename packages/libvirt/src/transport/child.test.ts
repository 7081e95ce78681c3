// A child process as a byte stream.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { connectChild } from './child.ts';

const sh = (script: string) => connectChild(['sh', '-c', script], 'a shell');

describe('a child as a transport', () => {
  it('carries bytes both ways unchanged, more than any pipe holds', async () => {
    const transport = await connectChild(['cat'], 'cat');
    const sent = randomBytes(8 << 20);
    transport.stream.end(sent);
    const received = await buffer(transport.stream);
    const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(hash(received)).toBe(hash(sent));
    expect(await transport.ended).toEqual({ detail: '' });
  });

  it('does not read on while nobody takes what it read', async () => {
    const transport = await sh('head -c 10000000 /dev/zero; echo done >&2');
    transport.stream.once('readable', () => {});
    await once(transport.stream, 'readable');
    expect(transport.stream.readableLength).toBeLessThan(1_000_000);
    expect((await buffer(transport.stream)).length).toBe(10_000_000);
    expect(await transport.ended).toEqual({ detail: 'done' });
  });

  it('ends with what the child wrote to stderr, the end of it when that is long', async () => {
    const transport = await sh('seq 1 10000 >&2; echo "Permission denied" >&2; exit 255');
    transport.stream.resume();
    const { detail } = await transport.ended;
    expect(detail).toMatch(/Permission denied$/);
    expect(detail.length).toBeLessThanOrEqual(8192);
  });

  it('ends with the exit code of a child that said nothing', async () => {
    const transport = await sh('exit 3');
    transport.stream.resume();
    expect(await transport.ended).toEqual({ detail: 'exit code 3' });
  });

  it('ends with the reason when there is no such program', async () => {
    const transport = await connectChild(['no-such-program'], 'nothing');
    transport.stream.resume();
    expect((await transport.ended).detail).toContain('no-such-program');
  });

  it('kills the child when it is closed, and says nothing of it', async () => {
    const transport = await sh('echo $$; exec cat');
    const [line] = await once(transport.stream, 'data');
    transport.close();
    transport.close();
    expect(await transport.ended).toEqual({ detail: '' });
    expect(() => process.kill(Number(line), 0)).toThrow('ESRCH');
  });

  it('ends although a grandchild holds its stderr, as ssh leaves one for shared connections', async () => {
    const transport = await sh('sleep 20 >/dev/null </dev/null & echo $!; echo bye >&2');
    const grandchild = Number(await text(transport.stream));
    expect(await transport.ended).toEqual({ detail: 'bye' });
    process.kill(grandchild);
  });

  it('survives Ctrl-C', async () => {
    const transport = await sh('kill -INT $$; echo alive');
    expect(await text(transport.stream)).toBe('alive\n');
  });

  it('reports a write that comes too late as an error of the stream, not of the process', async () => {
    const transport = await sh('exec <&-; sleep 0.1');
    transport.stream.on('error', () => {});
    const failed = once(transport.stream, 'error');
    transport.stream.write(Buffer.alloc(1 << 20));
    const [error] = await failed;
    expect(error).toMatchObject({ code: 'EPIPE' });
  });

  it('is not made when it is no longer wanted', async () => {
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    await expect(connectChild(['cat'], 'cat', { signal })).rejects.toBe(reason);
  });
});
