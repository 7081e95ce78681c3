// Running programs: what every Host promises, kept by each of them.
import { once } from 'node:events';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { killHard, startTestProgram } from '../testing/child-process.ts';
import { describeEachHost } from '../testing/each-host.ts';
import { noProcessWithArgument, processesWithArgument, uniqueMark } from '../testing/processes.ts';

describeEachHost('running programs', (on) => {
  test('says who it is', () => {
    expect(on.host.isLocal).toBe(on.kind === 'localhost');
    expect(on.host.name).toBe(on.destination ? `${on.destination.user}@127.0.0.1` : 'localhost');
  });

  test('passes every argument exactly', async () => {
    const argument = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((text) => !text.includes('\0'));
    const hostile = fc.oneof(
      argument,
      fc.constantFrom('', '-n', '$HOME', '`id`', "'", "'\\''", 'a\nb', '*', '\\', '!', '"', '\t'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 6 }), async (args) => {
        const { stdout } = await on.host.run(['printf', '%s\\0', ...args]);
        expect(stdout.split('\0').slice(0, -1)).toEqual(args);
      }),
      { numRuns: 40 },
    );
  });

  test('reports output, exit statuses and signals as data, 255 and 127 included', async () => {
    const script = (text: string) => on.host.run(['sh', '-c', text]);
    expect(await script('echo out; echo err >&2; exit 3')).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      code: 3,
      signal: null,
    });
    expect(await script('exit 255')).toMatchObject({ code: 255, signal: null });
    expect(await script('exit 127')).toMatchObject({ code: 127, signal: null });
    expect(await script('kill -KILL $$')).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(await script('printf no-newline >&2')).toMatchObject({ stderr: 'no-newline', code: 0 });
  });

  test('feeds input, and an empty one where none is given', async () => {
    const input = Buffer.from('ünï\r\n'.repeat(50_000));
    expect((await on.host.run(['cat'], { input })).stdout).toBe(input.toString());
    expect(await on.host.run(['cat'])).toMatchObject({ stdout: '', code: 0 });
    expect(await on.host.run(['true'], { input })).toMatchObject({ code: 0 }); // and it need not be read
  });

  test('brings all output of a program that writes much and ends', async () => {
    const { stdout } = await on.host.run(['sh', '-c', 'head -c 8000000 /dev/zero | tr "\\0" x']);
    expect(stdout).toHaveLength(8_000_000);
  });

  test('tells when there is no such program', async () => {
    await expect(on.host.run(['no-such-program'])).rejects.toMatchObject({
      name: 'HostError',
      code: 'not-found',
    });
    const running = await on.host.spawn(['/no/such/program']);
    await expect(running.exited).rejects.toMatchObject({ code: 'not-found' });
  });

  test('ends a program at its deadline, its children too', async () => {
    const mark = uniqueMark();
    const run = on.host.run(['sh', '-c', `sleep 1000 & sleep 1000 & wait # ${mark}`], { timeoutMs: 300 });
    await expect(run).rejects.toMatchObject({ code: 'timeout' });
    await noProcessWithArgument(mark);
  });

  test('ends a program when its signal fires, before or while it runs', async () => {
    const mark = uniqueMark();
    const stop = new AbortController();
    const run = on.host.run(['sh', '-c', `echo; exec sleep 1000 ${mark}`], {
      signal: stop.signal,
      onStdout: () => stop.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: 'aborted' });
    await noProcessWithArgument(mark);
    await expect(on.host.run(['true'], { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
  });

  test('ends a program that says too much, with bounded memory', async () => {
    const run = on.host.run(['sh', '-c', 'yes'], { maxOutputBytes: 100_000 });
    await expect(run).rejects.toMatchObject({ code: 'output-too-large' });
  });

  test('ends a spawned program when its stdin is ended, and says how it ended', async () => {
    const mark = uniqueMark();
    const running = await on.host.spawn(['sh', '-c', `cat; exec sleep 1000 # ${mark}`]);
    running.stdin.write('hello');
    expect(String(await once(running.stdout, 'data'))).toBe('hello');
    running.stdin.end();
    expect(await running.exited).toEqual({ code: null, signal: 'SIGTERM' });
    await noProcessWithArgument(mark);
  });

  test('reports the exit and stderr of a spawned program that ends by itself', async () => {
    const running = await on.host.spawn(['sh', '-c', 'read line; echo "got $line" >&2; exit 4']);
    running.stdout.resume();
    running.stdin.write('it\n');
    expect(await running.exited).toEqual({ code: 4, signal: null });
    expect(running.stderr()).toBe('got it\n');
  });

  test('runs many programs at once', async () => {
    const runs = Array.from({ length: 25 }, (_, i) => on.host.run(['sh', '-c', `sleep 0.2; echo ${i}`]));
    expect((await Promise.all(runs)).map(({ stdout }) => Number(stdout))).toEqual([...Array(25).keys()]);
  });

  test.each([
    ['run', 'exec sleep 1000'],
    // It ignores what it can: SIGTERM is not enough, and it does not look at its stdin.
    ['spawn', "trap '' TERM HUP INT; while :; do sleep 1; done"],
  ])('kills what it started (%s) when we are killed ourselves', async (how, script) => {
    const mark = uniqueMark();
    const program = ['sh', '-c', `echo; ${script} # ${mark}`];
    const parent = await startTestProgram(
      'spawn-and-wait.ts',
      JSON.stringify(on.destination),
      how,
      ...program,
    );
    expect((await processesWithArgument(mark)).length).toBeGreaterThan(1); // the parent has it in its arguments too
    await killHard(parent);
    await noProcessWithArgument(mark);
  });
});
