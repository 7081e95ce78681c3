// The QMP client against a peer that does whatever the test says.
import { Duplex, PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatExactJson, isJsonObject, parseExactJson } from '../json/exact-json.ts';
import { QmpClient, type QmpOptions } from './client.ts';

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "x"}, "capabilities": ["oob"]}}\r\n';
const event = (name: string, data = '{}') =>
  `{"timestamp": {"seconds": 1700000000, "microseconds": 5}, "event": "${name}", "data": ${data}}\r\n`;

/** The other end: says what it is told, and shows what it heard. */
class Peer {
  readonly #toClient = new PassThrough();
  readonly #fromClient = new PassThrough();
  readonly heard: { execute: string; id: bigint; arguments: unknown }[] = [];
  onCommand: (command: { execute: string; id: bigint }) => void = () => {};
  readonly stream = Duplex.from({ readable: this.#toClient, writable: this.#fromClient });

  constructor() {
    let text = '';
    this.#fromClient.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        this.#hear(text.slice(0, end));
        text = text.slice(end + 1);
      }
    });
  }

  #hear(line: string): void {
    const command = parseExactJson(line);
    if (!isJsonObject(command) || typeof command.id !== 'bigint') throw new Error(`no command: ${line}`);
    const { id, execute } = command;
    this.heard.push({ execute: String(execute), id, arguments: command.arguments });
    if (execute === 'qmp_capabilities') this.answer(id);
    else this.onCommand({ execute: String(execute), id });
  }

  say(text: string | Buffer): void {
    this.#toClient.write(text);
  }

  answer(id: bigint, value = '{}'): void {
    this.say(`{"return": ${value}, "id": ${id}}\r\n`);
  }

  hangUp(): void {
    this.#toClient.end();
  }
}

async function connected(options?: QmpOptions): Promise<{ peer: Peer; client: QmpClient }> {
  const peer = new Peer();
  peer.say(GREETING);
  return { peer, client: await QmpClient.connect(peer.stream, options) };
}

describe('connecting', () => {
  test('learns the version and leaves negotiation mode first', async () => {
    const { client, peer } = await connected();
    expect(client.version).toEqual({ major: 7, minor: 2, micro: 22 });
    expect(peer.heard.map(({ execute }) => execute)).toEqual(['qmp_capabilities']);
    client.close();
  });

  test('gives up on a silent peer, on one that talks nonsense, and on one that hangs up', async () => {
    await expect(QmpClient.connect(new Peer().stream, { timeoutMs: 20 })).rejects.toMatchObject({
      why: 'timeout',
    });
    const nonsense = new Peer();
    nonsense.say('SSH-2.0-OpenSSH\r\n');
    await expect(QmpClient.connect(nonsense.stream)).rejects.toMatchObject({ why: 'malformed' });
    const gone = new Peer();
    gone.hangUp();
    await expect(QmpClient.connect(gone.stream)).rejects.toMatchObject({ why: 'ended' });
  });
});

describe('commands', () => {
  test('get their own answers, in whatever order these come, wherever the bytes were cut', async () => {
    const { client, peer } = await connected();
    const asked: bigint[] = [];
    peer.onCommand = ({ id }) => {
      asked.push(id);
      if (asked.length < 3) return;
      const answers = asked.toReversed().map((each) => `{"id": ${each}, "return": {"ünï": ${each}}}\r\n`);
      for (const byte of Buffer.from(answers.join(''))) peer.say(Buffer.from([byte]));
    };
    const answers = await Promise.all([1, 2, 3].map(() => client.executeRaw('x')));
    expect(answers).toEqual(asked.map((id) => ({ ünï: id })));
    client.close();
  });

  test('keep 64-bit integers exact both ways', async () => {
    const { client, peer } = await connected();
    peer.onCommand = ({ id }) =>
      peer.answer(id, '[{"device": "d", "len": 9223372036854775807, "speed": -1}]');
    await client.execute('block-job-set-speed', { device: 'd', speed: 9223372036854775807n });
    expect(peer.heard.at(-1)?.arguments).toEqual({ device: 'd', speed: 9223372036854775807n });
    expect(await client.execute('query-block-jobs')).toEqual([
      { device: 'd', len: 9223372036854775807n, speed: -1n },
    ]);
    client.close();
  });

  test("fail with QEMU's class and words", async () => {
    const { client, peer } = await connected();
    peer.onCommand = ({ id }) =>
      peer.say(`{"id": ${id}, "error": {"class": "GenericError", "desc": "no node"}}\r\n`);
    await expect(client.execute('blockdev-del', { 'node-name': 'n' })).rejects.toMatchObject({
      name: 'QmpCommandError',
      command: 'blockdev-del',
      errorClass: 'GenericError',
      description: 'no node',
    });
    client.close();
  });

  test('that nobody waits for any more leave the connection usable when their answer comes late', async () => {
    const { client, peer } = await connected();
    const late: bigint[] = [];
    peer.onCommand = ({ id }) => late.push(id);
    await expect(client.execute('quit', undefined, { timeoutMs: 10 })).rejects.toMatchObject({
      why: 'timeout',
    });
    const stop = new AbortController();
    const aborted = client.execute('quit', undefined, { signal: stop.signal });
    stop.abort();
    await expect(aborted).rejects.toMatchObject({ name: 'QmpAbandoned', why: 'aborted' });
    for (const id of late) peer.answer(id);
    peer.onCommand = ({ id }) => peer.answer(id, '[]');
    expect(await client.execute('query-jobs')).toEqual([]);
    client.close();
  });

  test('all fail with one error when the connection ends, and so does every later one', async () => {
    const { client, peer } = await connected();
    const running = [client.execute('query-jobs'), client.execute('quit')];
    peer.hangUp();
    for (const result of await Promise.allSettled(running)) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { name: 'QmpConnectionError', why: 'ended' },
      });
    }
    await expect(client.execute('query-jobs')).rejects.toBe(await client.ended);
  });
});

describe('events', () => {
  test('reach every reader, once, in order, also those that came before it looked', async () => {
    const { client, peer } = await connected();
    const [early, other] = [client.events(), client.events()];
    for (let i = 0; i < 500; i++) peer.say(event('E', `{"i": ${i}}`));
    const seen: unknown[] = [];
    for await (const { data } of early) {
      seen.push(data.i);
      if (seen.length === 500) break;
    }
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => BigInt(i)));
    expect((await other.next()).value).toMatchObject({
      event: 'E',
      data: { i: 0n },
      timestampUs: 1_700_000_000_000_005n,
    });
    client.close();
  });

  test('a reader that falls too far behind is told, and reads what was kept before', async () => {
    const { client, peer } = await connected({ maxWaitingEvents: 2 });
    const events = client.events();
    for (const name of ['A', 'B', 'C']) peer.say(event(name));
    peer.onCommand = ({ id }) => peer.answer(id, '[]');
    await client.execute('query-jobs'); // its answer comes after the events
    expect((await events.next()).value?.event).toBe('A');
    expect((await events.next()).value?.event).toBe('B');
    await expect(events.next()).rejects.toMatchObject({ name: 'QmpEventOverflow' });
    client.close();
  });

  test('the end of the connection comes after the last event', async () => {
    const { client, peer } = await connected();
    const events = client.events();
    peer.say(event('LAST'));
    peer.hangUp();
    await client.ended;
    expect((await events.next()).value?.event).toBe('LAST');
    await expect(events.next()).rejects.toMatchObject({ why: 'ended' });
    await expect(client.events().next()).rejects.toMatchObject({ why: 'ended' });
  });

  test('closing a reader ends its loop quietly', async () => {
    const { client } = await connected();
    const events = client.events();
    const next = events.next();
    events.close();
    expect(await next).toEqual({ done: true, value: undefined });
    client.close();
  });
});

describe('a hostile peer', () => {
  test.each([
    ['no JSON', 'x\n', 'malformed'],
    ['JSON of no meaning', '{}\n', 'malformed'],
    ['a list', '[]\n', 'malformed'],
    ['an empty line', '\n', 'malformed'],
    ['an answer to no question', '{"return": {}, "id": 99}\n', 'malformed'],
    ['an answer without id', '{"error": {"class": "GenericError", "desc": "?"}}\n', 'malformed'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x0a]), 'malformed'],
    ['endless nesting', `${'['.repeat(200_000)}\n`, 'malformed'],
    ['an endless line', `{"x": "${'y'.repeat(300_000)}`, 'oversized'],
  ])('ends the connection: %s', async (_, bytes, why) => {
    const { client, peer } = await connected({ maxLineBytes: 250_000 });
    const running = client.execute('query-jobs');
    peer.say(bytes);
    await expect(running).rejects.toMatchObject({ name: 'QmpConnectionError', why });
    expect((await client.ended).why).toBe(why);
    expect(peer.stream.destroyed).toBe(true);
  });

  test('never hangs or crashes the client, whatever it sends', async () => {
    const line = fc.oneof(
      fc.json().map((json) => `${json}\n`),
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(GREETING, event('X'), '{"return": {}, "id": 2}\n', '{"QMP": {}}\n', '{"event": 1}\n'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 10 }), async (lines) => {
        const { client, peer } = await connected({ maxLineBytes: 10_000 });
        const running = client.executeRaw('x', { any: 'thing' }).catch((error: Error) => error.name);
        for (const bytes of lines) peer.say(bytes);
        peer.hangUp();
        await client.ended;
        expect(['QmpConnectionError', 'object']).toContain(
          typeof (await running) === 'string' ? await running : 'object',
        );
      }),
      { numRuns: 200 },
    );
  });
});

test('what it sends is one line of JSON, whatever is in it', async () => {
  const { client, peer } = await connected();
  peer.onCommand = ({ id }) => peer.answer(id);
  await client.executeRaw('x', { name: 'a\nb"ü\u2028', none: undefined });
  expect(peer.heard.at(-1)?.arguments).toEqual({ name: 'a\nb"ü\u2028' });
  expect(() => formatExactJson({ x: '\ud800' })).toThrow(TypeError);
  client.close();
});
