// What a migration will do, step by step, and what stands should everything stop there.
import { describeSource } from '@blockferry/libvirt';
import type { MigrationRecord } from './record.ts';

export interface PlannedMigrationStep {
  readonly step: string;
  readonly what: string;
  readonly leaves: string;
}

export function migrationSteps(record: MigrationRecord): PlannedMigrationStep[] {
  return record.mode === 'live' ? liveSteps(record) : offlineSteps(record);
}

function liveSteps({ disks, options, states }: MigrationRecord): PlannedMigrationStep[] {
  const home = 'the guest at home on its overlays; resume goes on, abort commits them back';
  const images = disks.reduce((sum, { layers }) => sum + layers.length, 0);
  const overlays = disks.map(({ overlay }) => describeSource(overlay.home.source)).join(', ');
  const verified = options.verify ? ', read them back and compare' : '';
  const there = 'the guest at the destination; resume goes on';
  return [
    {
      step: 'claim',
      what: 'take the names of the copies at the destination with empty files',
      leaves: 'the guest at home as it was; files that abort removes',
    },
    {
      step: 'freeze',
      what: `put the guest on ${overlays}: its images are frozen from here on`,
      leaves: home,
    },
    {
      step: 'copy',
      what: `copy ${images === 1 ? 'the image' : `the ${images} images`} to the destination${verified}`,
      leaves: `${home}; what was copied is not copied again`,
    },
    { step: 'relink', what: 'write the backing links of the copies', leaves: home },
    ...stateSteps(states, home),
    { step: 'prepare', what: 'make empty overlays on the copies', leaves: home },
    {
      step: 'cross',
      what: "libvirt's live migration of memory and of what the overlays hold",
      leaves:
        'the guest at home, or standing still on both sides, whole on both; resume finds out which, and has it run on one',
    },
    { step: 'undefine-home', what: 'undefine the domain at home; its images stay', leaves: there },
    { step: 'collapse', what: 'commit the overlays into the copies while the guest runs', leaves: there },
    {
      step: 'clear-home',
      what: 'remove the overlays and the record',
      leaves: 'the guest at the destination',
    },
  ];
}

function offlineSteps({ disks, options, states }: MigrationRecord): PlannedMigrationStep[] {
  const home = 'the domain at home, off; resume goes on, abort removes the copies';
  const images = disks.reduce((sum, { layers }) => sum + layers.length, 0);
  const verified = options.verify ? ', read them back and compare' : '';
  return [
    { step: 'claim', what: 'take the names of the copies at the destination with empty files', leaves: home },
    {
      step: 'copy',
      what: `copy ${images === 1 ? 'the image' : `the ${images} images`} to the destination${verified}`,
      leaves: `${home}; what was copied is not copied again`,
    },
    { step: 'relink', what: 'write the backing links of the copies', leaves: home },
    ...stateSteps(states, home),
    {
      step: 'define-away',
      what: 'define the domain at the destination',
      leaves: 'the domain on both hosts, off; resume goes on',
    },
    {
      step: 'undefine-home',
      what: 'undefine the domain at home; its images stay',
      leaves: 'the domain at the destination, off',
    },
  ];
}

function stateSteps(states: MigrationRecord['states'], leaves: string): PlannedMigrationStep[] {
  const names = { tpm: 'the state of its TPM', nvram: 'the variables of its firmware' };
  if (states.length === 0) return [];
  const what = `copy ${states.map(({ kind, path }) => `${names[kind]} (${path})`).join(', ')}`;
  return [{ step: 'bring-state', what, leaves }];
}
