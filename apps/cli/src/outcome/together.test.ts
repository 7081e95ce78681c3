// Several disks as one: one result, and how both views show it.
import { expect, it } from 'vitest';
import { ExitCode } from '../exit-code.ts';
import { sampleMove } from '../testing/move.ts';
import { resultText } from '../views/human/result.ts';
import { resultLine } from '../views/json/move.ts';
import { bareResult, commandsFor, namesOf } from './result.ts';
import { together } from './together.ts';

const names = (disk: string) => namesOf(sampleMove({ disk }));
const moved = (disk: string) =>
  bareResult('moved', ExitCode.DONE, {
    ...names(disk),
    bytes: 5n,
    runsOn: '/new/web.qcow2',
    cutoverMs: 20,
    sourcesKept: [`/old/${disk}`],
  });

it('puts together what all have', () => {
  const whole = together([moved('vda'), moved('vdb')], { durationMs: 900, pausedMs: 150 });
  expect(whole).toMatchObject({ outcome: 'moved', exitCode: 0, domain: 'web', disk: undefined, bytes: 10n });
  expect(whole.sourcesKept).toEqual(['/old/vda', '/old/vdb']);
  const text = resultText(whole);
  expect(text).toContain('moved: web vda runs on /new/web.qcow2\nmoved: web vdb runs on /new/web.qcow2\n');
  expect(text).toContain('the guest was paused for 150 ms');
  expect(text).toContain('rm /old/vda /old/vdb');
});

it('ends as the disk that needs most attention, and not with the one that only waits for it', () => {
  const waits = bareResult('interrupted', ExitCode.RESUMABLE, {
    ...names('vda'),
    error: { code: 'other-disk', message: 'waits', hint: undefined },
  });
  const failed = bareResult('interrupted', ExitCode.RESUMABLE, {
    ...names('vdb'),
    error: { code: 'copy-failed', message: 'no space', hint: undefined },
  });
  expect(together([waits, failed], {}).error?.code).toBe('copy-failed');
  const asks = bareResult('question', ExitCode.NEEDS_PERSON, names('vdb'));
  expect(together([waits, asks], {})).toMatchObject({ outcome: 'question', exitCode: 5 });
});

it('is one JSON line with an entry for each disk', () => {
  const line = resultLine(together([moved('vda'), moved('vdb')], { pausedMs: undefined }), undefined);
  expect(line).toMatchObject({
    type: 'result',
    outcome: 'moved',
    exitCode: 0,
    disk: undefined,
    error: undefined,
  });
  expect(line.disks).toMatchObject([
    { disk: 'vda', outcome: 'moved', exitCode: 0 },
    { disk: 'vdb', outcome: 'moved', exitCode: 0 },
  ]);
});

it('advises commands for all of them', () => {
  const group = { id: 'c0ffee02', disks: ['vda', 'vdb'], pause: false };
  expect(commandsFor(sampleMove({ group })).undo).toBe('blockferry abort web');
});
