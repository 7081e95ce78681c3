// What can happen around a group: to one of its disks, or to all of them at once.
import {
  copyAdvances,
  copyFails,
  daemonDiesAfterFreeze,
  daemonDiesInFreeze,
  daemonStarts,
  daemonStops,
  domainStarts,
  foreignJobEnds,
  freezesUnseenAndDies,
  guestOutruns,
  guestWrites,
  jobAdvances,
  jobFails,
  otherAborts,
  otherRedefines,
  otherStartsJob,
  otherWipesMetadata,
  qemuDies,
  setGoal,
  switchesUnseenAndDies,
} from '../../simulation/events.ts';
import { findRecord, finishSwitch, type Model } from '../../simulation/model.ts';
import { type Fleet, restart } from './fleet.ts';

/** `at` is a number that picks a disk. */
export type Event = (fleet: Fleet, at: number) => void;

const onOne = (event: (model: Model) => void): Event =>
  function one(fleet, at) {
    const model = fleet.disks[at % fleet.disks.length];
    if (model !== undefined) event(model);
  };

const onAll =
  (event: (model: Model) => void): Event =>
  (fleet) => {
    for (const model of fleet.disks) event(model);
  };

const guestWritesSomewhere: Event = (fleet, at) => {
  if (fleet.paused === 'no') onOne(guestWrites)(fleet, at);
};

const machineDies: Event = (fleet, at) => {
  onAll(qemuDies)(fleet, at);
  fleet.paused = 'no';
};

/** From all of its disks, or not at all. */
const machineStarts: Event = (fleet, at) => {
  const able = fleet.disks.every(({ persistent, qemu, config, configOnNext, images, next }) => {
    if (!persistent || qemu.running || config === 'elsewhere' || config === 'none') return false;
    return (config === 'overlay' && configOnNext ? next : images[config]).claim !== 'absent';
  });
  if (!able) return;
  onAll(domainStarts)(fleet, at);
  fleet.instance += 1;
};

/** QEMU switches some of its disks while libvirtd is away, the guest writes on, and QEMU dies unseen. */
export const lostSwitches: Event = (fleet, at) => {
  const first = fleet.disks.find(({ qemu }) => qemu.job?.state === 'pivoting');
  if (first === undefined) return;
  switchesUnseenAndDies(first);
  for (const model of fleet.disks) finishSwitch(model);
  machineDies(fleet, at);
};

/** QEMU goes to the overlays while libvirtd is away: to the first ones all at once, to a later one alone. */
const lostFreeze: Event = (fleet, at) => {
  const first = fleet.disks.every(({ qemu }) => qemu.on === 'origin');
  if (first && !fleet.disks.every(({ process }) => process.overlayFresh)) return;
  (first ? onAll : onOne)(freezesUnseenAndDies)(fleet, at);
  if (fleet.disks.some(({ qemu }) => !qemu.running)) machineDies(fleet, at);
};

const blockferryDies: Event = (fleet) => restart(fleet);
const diesInPause: Event = (fleet) => {
  fleet.diesInPause = true;
};
const operatorSuspends: Event = (fleet) => {
  if (fleet.paused === 'no' && fleet.disks.every(({ qemu }) => qemu.running)) {
    fleet.paused = 'theirs';
    // Somebody let the guest go on that we had paused, and paused it again: nobody can tell that.
    fleet.ambiguous ||= fleet.pauseRecorded === fleet.instance;
  }
};
const operatorResumes: Event = (fleet) => {
  fleet.paused = 'no';
};
const abort = (model: Model) => setGoal(model, 'abort');
const pivot = (model: Model) => {
  if (findRecord(model)?.goal === 'hold') setGoal(model, 'pivot');
};

/** Weighted by repetition: a byte of the schedule picks one. */
export const EVENTS: readonly Event[] = [
  ...Array(6).fill(guestWritesSomewhere),
  ...Array(6).fill(onOne(jobAdvances)),
  ...Array(5).fill(onOne(copyAdvances)),
  onOne(jobFails),
  onOne(copyFails),
  machineDies,
  machineStarts,
  machineStarts,
  onAll(daemonStops),
  onAll(daemonStarts),
  onAll(daemonStarts),
  onOne(guestOutruns),
  onAll(daemonDiesInFreeze),
  onAll(daemonDiesAfterFreeze),
  lostSwitches,
  lostFreeze,
  onOne(otherAborts),
  onOne(otherStartsJob),
  onOne(foreignJobEnds),
  onAll(otherRedefines),
  onAll(otherWipesMetadata),
  blockferryDies,
  blockferryDies,
  diesInPause,
  operatorSuspends,
  operatorResumes,
  onAll(abort),
  // A crash in the middle of the command that asks for it.
  onOne(abort),
  onAll(pivot),
  onOne(pivot),
];
