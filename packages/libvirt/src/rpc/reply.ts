// A call as a frame, and a frame as the reply to a call.

import { LibvirtError } from '../errors/libvirt-error.ts';
import { XdrReader } from '../xdr/reader.ts';
import { encodeFrame, type Frame, FrameError, MessageStatus, MessageType } from './frame.ts';
import type { Procedure } from './procedure.ts';
import { wireError } from './wire-error.ts';

/** @throws XdrError when an argument cannot be encoded. */
export function encodeCall<A, R>(procedure: Procedure<A, R>, args: A, serial: number): Buffer {
  const { program, number } = procedure;
  const header = { program, version: 1, procedure: number, type: MessageType.CALL, serial };
  return encodeFrame({ ...header, status: MessageStatus.OK }, (writer) => procedure.args.write(writer, args));
}

/** The result, or the daemon's refusal. @throws FrameError, XdrError for what is no reply to this procedure. */
export function readReply<A, R>(
  procedure: Procedure<A, R>,
  frame: Frame,
): { readonly result: R } | LibvirtError {
  if (frame.program !== procedure.program || frame.procedure !== procedure.number) {
    throw new FrameError(`${procedure.name} was answered by procedure ${frame.procedure}`);
  }
  const reader = new XdrReader(frame.payload);
  if (frame.status === MessageStatus.ERROR) {
    const facts = wireError.read(reader);
    reader.end();
    return new LibvirtError(procedure.name, facts);
  }
  if (frame.status !== MessageStatus.OK) throw new FrameError(`a reply with status ${frame.status}`);
  const result = procedure.result.read(reader);
  reader.end();
  return { result };
}
