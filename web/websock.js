// A WebSocket with a queue of received bytes, from which a protocol is read piece by piece: the
// API of noVNC's and websockify's Websock.
//
//     const sock = new Websock();
//     sock.on('message', () => {
//       while (!sock.rQwait('a record', 4)) take(sock.rQshift32());
//     });
//     sock.on('close', ({ code, reason }) => …);
//     sock.open('wss://example.org/websockify');
//     sock.send([1, 2, 3]);

const FIRST_SIZE = 64 * 1024; // bytes: more than most messages have
const LARGEST_SIZE = 40 * 1024 * 1024; // bytes that may wait to be read
const SEND_SIZE = 10 * 1024; // bytes that are sent by themselves, without flush()
const STRING_PIECE = 4096; // characters: a call has so many arguments at most everywhere

const STATES = ['connecting', 'open', 'closing', 'closed'];

export default class Websock {
  #socket = null;
  #received = new Uint8Array(FIRST_SIZE);
  #begin = 0; // of what is not read yet
  #end = 0;
  #unsent = new Uint8Array(SEND_SIZE);
  #unsentLength = 0;
  #handlers = {};

  constructor() {
    this.init();
  }

  /** `unused`, or where the connection stands. */
  get readyState() {
    if (this.#socket === null) return 'unused';
    // A data channel says it in words, a WebSocket by number.
    return STATES[this.#socket.readyState] ?? this.#socket.readyState;
  }

  // Connecting

  /** Forgets what was received and what was not sent, and all handlers. */
  init() {
    this.#forget();
    this.#handlers = { open() {}, message() {}, close() {}, error() {} };
  }

  /** Calls `handler` with the event, when one of `open`, `message`, `close` and `error` happens. */
  on(event, handler) {
    if (!(event in this.#handlers)) throw new RangeError(`Websock has no event '${event}'`);
    this.#handlers[event] = handler;
  }

  off(event) {
    this.on(event, () => {});
  }

  /** Connects. Without `protocols`, no subprotocol is offered. */
  open(address, protocols = []) {
    this.attach(new WebSocket(address, protocols));
  }

  /** Takes a WebSocket or an RTCDataChannel, connected already or not. */
  attach(socket) {
    this.close();
    this.#detach();
    this.#forget();
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = (event) => this.#handlers.open(event);
    socket.onclose = (event) => this.#handlers.close(event);
    socket.onerror = (event) => this.#handlers.error(event);
    socket.onmessage = ({ data }) => this.#receive(data);
  }

  /** Closes the connection; what is still on the way here is not told any more. */
  close() {
    if (this.#socket === null) return;
    this.#socket.onmessage = null;
    if (['connecting', 'open'].includes(this.readyState)) this.#socket.close(1000);
  }

  // Receiving: bytes are read from the front of a queue

  rQlen() {
    return this.#end - this.#begin;
  }

  /** Whether there are fewer than `length` bytes. If so, `goback` bytes that were read return to
   * the queue, so that the next message finds a record from its begin. */
  rQwait(what, length, goback = 0) {
    if (this.rQlen() >= length) return false;
    if (goback > this.#begin) throw new RangeError(`${what}: cannot go back ${goback} bytes`);
    this.#begin -= goback;
    return true;
  }

  rQpeek8() {
    return this.#received[this.#begin];
  }

  rQpeekBytes(length, copy = true) {
    return this.rQslice(0, length, copy);
  }

  /** The bytes from `start` to `end` of the queue, which keeps them. Without `copy` they change with
   * the next message. */
  rQslice(start, end = this.rQlen(), copy = true) {
    this.#expect(end);
    const [from, to] = [this.#begin + start, this.#begin + end];
    return copy ? this.#received.slice(from, to) : this.#received.subarray(from, to);
  }

  rQskipBytes(length) {
    this.#expect(length);
    this.#begin += length;
  }

  rQshift8() {
    return this.#shiftNumber(1);
  }

  rQshift16() {
    return this.#shiftNumber(2);
  }

  rQshift32() {
    return this.#shiftNumber(4);
  }

  /** Bytes as a string, a character each. */
  rQshiftStr(length = this.rQlen()) {
    let text = '';
    for (let left = length; left > 0; left -= STRING_PIECE) {
      text += String.fromCharCode(...this.rQshiftBytes(Math.min(left, STRING_PIECE), false));
    }
    return text;
  }

  rQshiftBytes(length = this.rQlen(), copy = true) {
    const bytes = this.rQslice(0, length, copy);
    this.#begin += length;
    return bytes;
  }

  rQshiftTo(target, length) {
    target.set(this.rQshiftBytes(length, false));
  }

  // Sending: bytes are gathered, and leave as one message

  sQpush8(number) {
    this.sQpushBytes([number]);
  }

  sQpush16(number) {
    this.sQpushBytes([number >> 8, number]);
  }

  sQpush32(number) {
    this.sQpushBytes([number >> 24, number >> 16, number >> 8, number]);
  }

  /** A byte for each character. */
  sQpushString(text) {
    this.sQpushBytes(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  }

  /** Adds bytes; what does not fit leaves at once. */
  sQpushBytes(bytes) {
    for (let done = 0; done < bytes.length;) {
      if (this.#unsentLength === SEND_SIZE) this.flush();
      if (this.#unsentLength === SEND_SIZE) throw new RangeError('Websock: not open, and too much to send');
      const piece = bytes.slice(done, done + SEND_SIZE - this.#unsentLength);
      this.#unsent.set(piece, this.#unsentLength);
      this.#unsentLength += piece.length;
      done += piece.length;
    }
  }

  /** Sends what was gathered, if the connection is open. */
  flush() {
    if (this.#unsentLength === 0 || this.readyState !== 'open') return;
    this.#socket.send(this.#unsent.slice(0, this.#unsentLength));
    this.#unsentLength = 0;
  }

  /** Adds bytes and sends all there are. */
  send(bytes) {
    this.sQpushBytes(bytes);
    this.flush();
  }

  send_string(text) {
    this.sQpushString(text);
    this.flush();
  }

  #detach() {
    if (this.#socket === null) return;
    for (const handler of ['onopen', 'onclose', 'onerror', 'onmessage']) this.#socket[handler] = null;
  }

  #forget() {
    this.#begin = this.#end = this.#unsentLength = 0;
  }

  #expect(length) {
    if (length > this.rQlen()) throw new RangeError(`Websock: ${length} bytes asked for, ${this.rQlen()} there`);
  }

  #shiftNumber(bytes) {
    let number = 0;
    for (const byte of this.rQshiftBytes(bytes, false)) number = number * 256 + byte;
    return number;
  }

  #receive(data) {
    // Text is not what was asked for; its bytes are taken as they came.
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data);
    this.#makeRoom(bytes.length);
    this.#received.set(bytes, this.#end);
    this.#end += bytes.length;
    if (this.rQlen() > 0) this.#handlers.message();
  }

  /** Moves what is not read to the front, into a larger queue if it must be. */
  #makeRoom(length) {
    const needed = this.rQlen() + length;
    if (needed > LARGEST_SIZE) {
      this.#socket.close();
      throw new RangeError(`Websock: more than ${LARGEST_SIZE} bytes wait to be read`);
    }
    if (this.#end + length <= this.#received.length) return;
    const unread = this.#received.subarray(this.#begin, this.#end);
    let { length: size } = this.#received;
    while (size < needed) size *= 2;
    if (size > this.#received.length) {
      this.#received = new Uint8Array(size);
    }
    this.#received.set(unread);
    [this.#begin, this.#end] = [0, unread.length];
  }
}
