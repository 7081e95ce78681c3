import { describe, expect, test } from 'vitest';
import { FakeDaemon } from '../../test/fake-daemon.ts';
import { volumes } from '../procedures/storage.ts';
import { RpcConnection } from './connection.ts';
import { encodeFrame, type Frame, MessageStatus, MessageType } from './frame.ts';
import { MAX_STREAM_CHUNK_BYTES, type RpcStream } from './stream.ts';
import { wireError } from './wire-error.ts';

const whole = { volume: { pool: 'p', name: 'v', key: 'k' }, offset: 0n, length: 0n, flags: 0 };
const { OK, ERROR, CONTINUE } = MessageStatus;

async function opened(procedure: typeof volumes.upload): Promise<{
  daemon: FakeDaemon;
  rpc: RpcConnection;
  call: Frame;
  stream: RpcStream;
}> {
  const daemon = new FakeDaemon().answer(procedure, {});
  const rpc = new RpcConnection(daemon.transport);
  const stream = await rpc.openStream(procedure, whole);
  return { daemon, rpc, stream, call: await daemon.called(procedure) };
}

function streamed(daemon: FakeDaemon): readonly Frame[] {
  return daemon.received.filter((frame) => frame.type === MessageType.STREAM);
}

async function readAll(stream: RpcStream): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream.read()) pieces.push(piece);
  return Buffer.concat(pieces);
}

function wireErrorOf(message: string): Buffer {
  const nothing = { dom: null, str1: null, str2: null, str3: null, int1: 0, int2: 0, net: null };
  const header = { program: 0, version: 0, procedure: 0, type: 0, serial: 0, status: 0 };
  const error = { code: 38, domain: 18, message, level: 2, ...nothing };
  return encodeFrame(header, (writer) => wireError.write(writer, error)).subarray(28);
}

describe('sending', () => {
  test('cuts what is too long for one frame, and waits for the far side’s word at the end', async () => {
    const { daemon, call, stream } = await opened(volumes.upload);
    const data = Buffer.alloc(MAX_STREAM_CHUNK_BYTES * 2 + 5, 7);
    await stream.write(data);
    const finished = stream.finish();
    await daemon.frame((frame) => frame.type === MessageType.STREAM && frame.status === OK);
    const frames = streamed(daemon);
    expect(frames.map(({ status, payload }) => [status, payload.length])).toEqual([
      [CONTINUE, MAX_STREAM_CHUNK_BYTES],
      [CONTINUE, MAX_STREAM_CHUNK_BYTES],
      [CONTINUE, 5],
      [OK, 0],
    ]);
    expect(frames.every((frame) => frame.serial === call.serial)).toBe(true);
    daemon.streamFrame(call, OK);
    await finished;
  });

  test('ends with the far side’s error', async () => {
    const { daemon, call, stream } = await opened(volumes.upload);
    await stream.write(Buffer.alloc(10));
    daemon.streamFrame(call, ERROR, wireErrorOf('No space left on device'));
    await expect(stream.finish()).rejects.toMatchObject({ name: 'LibvirtError', code: 38 });
    await expect(stream.write(Buffer.alloc(10))).rejects.toMatchObject({
      message: 'No space left on device',
    });
  });

  test('to a far side that does not read waits, and fails when the connection does', async () => {
    const { daemon, rpc, stream } = await opened(volumes.upload);
    daemon.deaf();
    const sending = (async () => {
      for (;;) await stream.write(Buffer.alloc(MAX_STREAM_CHUNK_BYTES));
    })();
    await new Promise((resolve) => setImmediate(resolve));
    rpc.end();
    await expect(sending).rejects.toMatchObject({ name: 'ConnectionClosed', why: 'closed' });
  });

  test('that is given up says so, and what still comes for it is dropped', async () => {
    const { daemon, rpc, call, stream } = await opened(volumes.upload);
    stream.abort(new Error('changed my mind'));
    const frame = await daemon.frame((f) => f.type === MessageType.STREAM);
    expect(frame).toMatchObject({ status: ERROR, serial: call.serial });
    expect(frame.payload).toHaveLength(0);
    daemon.streamFrame(call, ERROR, wireErrorOf('aborted'));
    daemon.streamFrame(call, OK);
    await new Promise((resolve) => setImmediate(resolve));
    expect(rpc.isOver).toBe(false);
    await expect(stream.finish()).rejects.toThrow('changed my mind');
  });
});

describe('receiving', () => {
  test('yields every byte, also those in the same packet as the reply, up to the empty frame', async () => {
    const daemon = new FakeDaemon();
    daemon.on(volumes.download, (_args, call) => {
      daemon.reply(call, volumes.download, {});
      daemon.streamFrame(call, CONTINUE, Buffer.from('hello '));
      daemon.streamFrame(call, CONTINUE, Buffer.from('world'));
      daemon.streamFrame(call, CONTINUE);
    });
    const rpc = new RpcConnection(daemon.transport);
    const stream = await rpc.openStream(volumes.download, whole);
    expect((await readAll(stream)).toString()).toBe('hello world');
    const finished = stream.finish();
    const call = await daemon.called(volumes.download);
    await daemon.frame((frame) => frame.type === MessageType.STREAM && frame.status === OK);
    daemon.streamFrame(call, OK);
    await finished;
  });

  test('fails where the far side fails, after the bytes that came', async () => {
    const { daemon, call, stream } = await opened(volumes.download);
    daemon.streamFrame(call, CONTINUE, Buffer.from('half'));
    daemon.streamFrame(call, ERROR, wireErrorOf('Input/output error'));
    const reader = stream.read();
    expect((await reader.next()).value?.toString()).toBe('half');
    await expect(reader.next()).rejects.toMatchObject({
      name: 'LibvirtError',
      message: 'Input/output error',
    });
  });

  test('leaves the socket unread while nobody takes the bytes', async () => {
    const { daemon, call, stream } = await opened(volumes.download);
    for (let i = 0; i < 40; i++) daemon.streamFrame(call, CONTINUE, Buffer.alloc(100_000, i));
    daemon.streamFrame(call, CONTINUE);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(daemon.transport.stream.isPaused()).toBe(true);
    expect((await readAll(stream)).length).toBe(4_000_000);
  });

  test('a hole in a stream that was not opened as sparse ends the connection', async () => {
    const { daemon, rpc, call } = await opened(volumes.download);
    daemon.send(encodeFrame({ ...call, type: MessageType.STREAM_HOLE, status: CONTINUE }));
    expect(await rpc.closed).toMatchObject({ why: 'protocol' });
  });
});
